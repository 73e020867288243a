// Scales and minimums as they stand at the beginning of blocks in panels: 16 lanes each.
#pragma once
#include "bits.h"

// Half, or byte, number i of a head.
template <int I> static inline Floats half_of(const uint8_t *head) { return load_half((const uint16_t *)(head + 32 * I)); }
template <int HALVES, int I> static inline Ints small_of(const uint8_t *head) { return load_smalls(head + 32 * HALVES + 16 * I); }

// ggml's blocks of 32: one half is the scale, or two are it and the minimum.
struct OneScale {
  static constexpr int NUMBERS = 32, GROUP = 32, HALVES = 1, HALVES_AT = 0, SMALLS = 0, SMALLS_AT = 0;
  static constexpr bool MINIMUMS = false, TABLE = false;
  template <int G> static Floats scale(const uint8_t *head) { return half_of<0>(head); }
};
struct ScaleAndLeast : OneScale {
  static constexpr int HALVES = 2, OFFSET = 0;
  static constexpr bool MINIMUMS = true;
  template <int G> static Floats minimum(const uint8_t *head) { return half_of<1>(head); }
};
