// Floats of four bits of exponent and three of mantissa (e4m3) with a scale in float32 for 128
// columns: 16 scales, and for each column 16 bytes. They meet float32 whatever `met` says.
//
// A block of a row comes in as its scale and 128 bytes.
#pragma once
#include "panel.h"

struct Float8 : Plain<Float8> {
  static constexpr char NAME[] = "float8";
  static constexpr int NUMBERS = 128, BYTES = 4 + NUMBERS, STEP = NUMBERS, HEAD = 64, STEP_BYTES = HEAD + 16 * STEP;
  template <class Form> static constexpr bool keeps = SAME<Form, Float8>;

  static constexpr bool WITH_FLOATS = false;
  static int needs(int32_t) { return NOTHING; }

  static void keep(const uint8_t *row, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t k = 0; k < columns; k += STEP, row += BYTES, panel += STEP_BYTES) {
      memcpy(panel + 4 * lane, row, 4);
      for (int i = 0; i < STEP; i++) panel[HEAD + 16 * i + lane] = row[4 + i];
    }
  }

  static float number(const uint8_t *panel, int k, int lane) {
    float scale;
    const uint8_t *step = panel + k / STEP * STEP_BYTES;
    memcpy(&scale, step + 4 * lane, 4);
    return float8_to_float(step[HEAD + 16 * (k % STEP) + lane]) * scale;
  }

  template <int T>
  static void dot(int32_t, const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const float *v[T];
    TOKENS(t) { v[t] = x.values + which[t] * x.stride; out[t] = splat(0.0f); }
    for (int k = 0; k < columns; k += STEP, panel += STEP_BYTES) {
      // Rows of activations are padded to whole CHAINS.
      const int here = columns - k < STEP ? columns - k : STEP;
      Floats part[T][CHAINS];
      TOKENS(t) TIMES(c, CHAINS) part[t][c] = splat(0.0f);
      for (int i = 0; i < here; i += CHAINS) {
        TIMES(c, CHAINS) {
          const Floats weights = load_float8(panel + HEAD + 16 * (i + c));
          TOKENS(t) part[t][c] = fma(weights, splat(v[t][k + i + c]), part[t][c]);
        }
      }
      const Floats scale = load((const float *)panel) * splat(256.0f);
      TOKENS(t) {
        Floats all = part[t][0];
        TIMES(c, CHAINS - 1) all = all + part[t][c + 1];
        out[t] = fma(all, scale, out[t]);
      }
    }
  }
};
