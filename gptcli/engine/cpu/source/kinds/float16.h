// For each column: 16 halves.
#pragma once
#include "panel.h"

struct Float16 : Plain<Float16> {
  static constexpr char NAME[] = "float16";
  static constexpr int STEP = 4, STEP_BYTES = STEP * 32;

  static int needs(int32_t) { return NOTHING; }
  static float number(const uint8_t *panel, int k, int lane) { return half_to_float(((const uint16_t *)panel)[16 * k + lane]); }

  static void put(const float *x, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t k = 0; k < columns; k++) ((uint16_t *)panel)[16 * k + lane] = float_to_half(x[k]);
  }

  static constexpr bool WITH_FLOATS = true;
  static const float *floats_from(const uint8_t *panel, int k, int columns, float *room) {
    for (int i = 0; i < columns; i++) store(room + 16 * i, load_half((const uint16_t *)panel + 16 * (k + i)));
    return room;
  }

  template <int T>
  static void dot(int32_t, const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
    dot_columns<T>((const uint16_t *)panel, columns, x, which, out);
  }
};
