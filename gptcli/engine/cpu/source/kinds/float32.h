// For each column: 16 floats.
#pragma once
#include "panel.h"

struct Float32 : Plain<Float32> {
  static constexpr char NAME[] = "float32";
  static constexpr int STEP = 4, STEP_BYTES = STEP * 64;

  static int needs(int32_t) { return NOTHING; }
  static float number(const uint8_t *panel, int k, int lane) { return ((const float *)panel)[16 * k + lane]; }

  static void put(const float *x, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t k = 0; k < columns; k++) ((float *)panel)[16 * k + lane] = x[k];
  }

  static constexpr bool WITH_FLOATS = true;
  static const float *floats_from(const uint8_t *panel, int k, int, float *) { return (const float *)panel + 16 * k; }

  template <int T>
  static void dot(int32_t, const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
    dot_columns<T>((const float *)panel, columns, x, which, out);
  }
};
