// Scales and minimums as they stand at the beginning of blocks in panels: 16 lanes each.
#pragma once
#include "bits.h"

// Half, or byte, number i of a head.
template <int I> static inline Floats half_of(const uint8_t *head) { return load_half((const uint16_t *)(head + 32 * I)); }
template <int HALVES, int I> static inline Ints small_of(const uint8_t *head) { return load_smalls(head + 32 * HALVES + 16 * I); }

// One half is the scale, where there is another it is the minimum: ggml's blocks of 32.
template <class B>
struct OneScale {
  static constexpr int GROUP = 32, SMALLS = 0, SMALLS_AT = 0, HALVES_AT = 0;
  static constexpr bool TABLE = false;
  template <int G> static Floats scale(const uint8_t *head) { return half_of<0>(head); }
  template <int G> static Floats minimum(const uint8_t *head) { return half_of<1>(head); }
};
