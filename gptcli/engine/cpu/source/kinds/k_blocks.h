// ggml's blocks of 256 numbers, of which 16 or 32 share a scale of a few bits that a half scales:
// Q2_K … Q6_K and IQ4_XS. Layout: ggml-common.h of github.com/ggml-org/ggml.
#pragma once
#include "small_blocks.h"

// Scale and minimum g of eight, six bits each in twelve bytes: the last four have their two high bits
// with the first.
template <int G>
static inline Ints six_bit_scale(const uint8_t *head) {
  if constexpr (G < 4) return of_lanes<6, 0>(small_of<2, G>(head));
  else return of_lanes<4, 0>(small_of<2, G + 4>(head)) | shift_left<4>(of_lanes<2, 6>(small_of<2, G - 4>(head)));
}
template <int G>
static inline Ints six_bit_minimum(const uint8_t *head) {
  if constexpr (G < 4) return of_lanes<6, 0>(small_of<2, G + 4>(head));
  else return of_lanes<4, 4>(small_of<2, G + 4>(head)) | shift_left<4>(of_lanes<2, 6>(small_of<2, G>(head)));
}

// d · scale, of six bits less 32: the low four, and the high two.
static inline Floats signed_six_bits(const uint8_t *head, Ints low, Ints high) {
  return half_of<0>(head) * to_floats((low | shift_left<4>(high)) + splat_int(-32));
}

// number = d · scale · code - dmin · minimum
struct ScaleAndMinimum {
  static constexpr int NUMBERS = 256, GROUP = 32, OFFSET = 0, HALVES = 2, HALVES_AT = 0, SMALLS = 12, SMALLS_AT = 4;
  static constexpr bool MINIMUMS = true, TABLE = false;
  template <int G> static Floats scale(const uint8_t *head) { return half_of<0>(head) * to_floats(six_bit_scale<G>(head)); }
  template <int G> static Floats minimum(const uint8_t *head) { return splat(0.0f) - half_of<1>(head) * to_floats(six_bit_minimum<G>(head)); }
};

// Number l of pair p of groups of 32: the low four bits of byte 32 p + l, and of the next its high ones.
static inline void fours_of_k(const uint8_t *bytes, uint8_t *to) {
  for (int p = 0; p < 4; p++) fours_of<32>(bytes + 32 * p, to + 64 * p);
}
// Number l of group g of four, and of four more: two bits of byte 32 (g / 4) + l.
static inline void twos_of_k(const uint8_t *bytes, uint8_t *to) {
  for (int g = 0; g < 8; g++) for (int l = 0; l < 32; l++) to[32 * g + l] = bytes[g / 4 * 32 + l] >> 2 * (g % 4) & 3;
}
// Number l of group g has bit g of byte l, as its bit AT.
template <int AT>
static inline void with_ones_of_k(const uint8_t *bytes, uint8_t *to) {
  for (int g = 0; g < 8; g++) for (int l = 0; l < 32; l++) to[32 * g + l] |= (uint8_t)((bytes[l] >> g & 1) << AT);
}

struct Q4_K : ScaleAndMinimum {
  static constexpr char NAME[] = "q4_k";
  static constexpr int BYTES = 144;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fours_of_k(block + 16, to); }
};

struct Q5_K : ScaleAndMinimum {
  static constexpr char NAME[] = "q5_k";
  static constexpr int BYTES = 176;
  using Codes = Joined<4, 1>;
  static void codes_of(const uint8_t *block, uint8_t *to) {
    fours_of_k(block + 48, to);
    with_ones_of_k<4>(block + 16, to);
  }
};

struct Q6_K {
  static constexpr char NAME[] = "q6_k";
  static constexpr int NUMBERS = 256, BYTES = 210, GROUP = 16, OFFSET = 32, HALVES = 1, HALVES_AT = 208, SMALLS = 16, SMALLS_AT = 192;
  static constexpr bool MINIMUMS = false, TABLE = false;
  using Codes = Joined<4, 2>;
  static void codes_of(const uint8_t *block, uint8_t *to) {
    // Of 128 numbers the first 64 have the low four bits of their bytes, the others the high ones.
    uint8_t high[256];
    twos_of_k(block + 128, high);
    for (int n = 0; n < 2; n++) fours_of<64>(block + 64 * n, to + 128 * n);
    for (int i = 0; i < 256; i++) to[i] |= (uint8_t)(high[i] << 4);
  }
  template <int G>
  static Floats scale(const uint8_t *head) {  // a byte with a sign
    const Ints byte = small_of<1, G>(head);
    return half_of<0>(head) * to_floats(byte - shift_left<1>(byte & splat_int(128)));
  }
};

struct Q2_K {
  static constexpr char NAME[] = "q2_k";
  static constexpr int NUMBERS = 256, BYTES = 84, GROUP = 16, OFFSET = 0, HALVES = 2, HALVES_AT = 80, SMALLS = 16, SMALLS_AT = 0;
  static constexpr bool MINIMUMS = true, TABLE = false;
  using Codes = Bits<2>;
  static void codes_of(const uint8_t *block, uint8_t *to) { twos_of_k(block + 16, to); }
  template <int G> static Floats scale(const uint8_t *head) { return half_of<0>(head) * to_floats(of_lanes<4, 0>(small_of<2, G>(head))); }
  template <int G>
  static Floats minimum(const uint8_t *head) { return splat(0.0f) - half_of<1>(head) * to_floats(of_lanes<4, 4>(small_of<2, G>(head))); }
};

struct Q3_K {
  static constexpr char NAME[] = "q3_k";
  static constexpr int NUMBERS = 256, BYTES = 110, GROUP = 16, OFFSET = 4, HALVES = 1, HALVES_AT = 108, SMALLS = 12, SMALLS_AT = 96;
  static constexpr bool MINIMUMS = false, TABLE = false;
  using Codes = Joined<2, 1>;
  static void codes_of(const uint8_t *block, uint8_t *to) {
    twos_of_k(block + 32, to);
    with_ones_of_k<2>(block, to);
  }
  // Six bits less 32: four of them in eight bytes, two scales each, and two in four more, four each.
  template <int G>
  static Floats scale(const uint8_t *head) {
    return signed_six_bits(head, of_lanes<4, G / 8 * 4>(small_of<1, G % 8>(head)), of_lanes<2, G / 4 * 2>(small_of<1, 8 + G % 4>(head)));
  }
};

struct IQ4_XS {
  static constexpr char NAME[] = "iq4_xs";
  static constexpr int NUMBERS = 256, BYTES = 136, GROUP = 32, OFFSET = 128, HALVES = 1, HALVES_AT = 0, SMALLS = 6, SMALLS_AT = 2;
  static constexpr bool MINIMUMS = false, TABLE = true;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { for (int g = 0; g < 8; g++) fours_of(block + 8 + 16 * g, to + 32 * g); }
  static Ints meaning(Ints codes) { return looked_up(IQ4_MEANINGS, codes); }
  // Six bits less 32: two of them in two bytes, four scales each, and four in four more, two each.
  template <int G>
  static Floats scale(const uint8_t *head) {
    return signed_six_bits(head, of_lanes<4, G % 2 * 4>(small_of<1, 2 + G / 2>(head)), of_lanes<2, G % 4 * 2>(small_of<1, G / 4>(head)));
  }
};
