// ggml's blocks of 32 numbers with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL and MXFP4.
// Layout: ggml-common.h of github.com/ggml-org/ggml. gptcli/formats/ggml_blocks.py describes them.
#pragma once
#include "coded.h"
#include "heads_of_blocks.h"

// What follows are plain loops over bytes, which compilers turn into vectors.

// The four bits of number i: i and i + SHARED share a byte.
template <int SHARED = 16>
static inline void fours_of(const uint8_t *bytes, uint8_t *to) {
  for (int i = 0; i < SHARED; i++) to[i] = bytes[i] & 15, to[SHARED + i] = bytes[i] >> 4;
}
// and bit i of `high`.
static inline void fives_of(const uint8_t *high, const uint8_t *bytes, uint8_t *to) {
  fours_of(bytes, to);
  for (int j = 0; j < 4; j++) {
    // Bits 0 … 7 of a byte, each in a byte of its own: what is shifted never meets what was.
    const uint64_t low = (high[j] & 0x7f) * 0x0002040810204081u & 0x0101010101010101u, eight = low | (uint64_t)(high[j] >> 7) << 56;
    uint64_t codes;
    memcpy(&codes, to + 8 * j, 8);
    codes |= eight << 4;
    memcpy(to + 8 * j, &codes, 8);
  }
}

struct Q8_0 : OneScale {
  static constexpr char NAME[] = "q8_0";
  static constexpr int BYTES = 34, OFFSET = 128;
  using Codes = Bits<8>;
  static void codes_of(const uint8_t *block, uint8_t *to) { for (int i = 0; i < 32; i++) to[i] = (uint8_t)(block[2 + i] ^ 128); }
};

struct Q4_0 : OneScale {
  static constexpr char NAME[] = "q4_0";
  static constexpr int BYTES = 18, OFFSET = 8;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fours_of(block + 2, to); }
};

struct Q4_1 : ScaleAndLeast {
  static constexpr char NAME[] = "q4_1";
  static constexpr int BYTES = 20;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fours_of(block + 4, to); }
};

struct Q5_0 : OneScale {
  static constexpr char NAME[] = "q5_0";
  static constexpr int BYTES = 22, OFFSET = 16;
  using Codes = Joined<4, 1>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fives_of(block + 2, block + 6, to); }
};

struct Q5_1 : ScaleAndLeast {
  static constexpr char NAME[] = "q5_1";
  static constexpr int BYTES = 24;
  using Codes = Joined<4, 1>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fives_of(block + 4, block + 8, to); }
};

// What the sixteen codes of IQ4_NL and IQ4_XS stand for, plus 128.
alignas(16) static constexpr uint8_t IQ4_MEANINGS[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

struct IQ4_NL : OneScale {
  static constexpr char NAME[] = "iq4_nl";
  static constexpr int BYTES = 18, OFFSET = 128;
  static constexpr bool TABLE = true;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fours_of(block + 2, to); }
  static Ints meaning(Ints codes) { return looked_up(IQ4_MEANINGS, codes); }
};

// Four bits are a float of one bit of fraction, here twice that plus 12; a byte is the exponent of
// what they share (the Open Compute Project's microscaling formats, version 1.0).
alignas(16) static constexpr uint8_t FP4_MEANINGS[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

struct MXFP4 {
  static constexpr char NAME[] = "mxfp4";
  static constexpr int NUMBERS = 32, BYTES = 17, HALVES = 0, HALVES_AT = 0, SMALLS = 1, SMALLS_AT = 0, GROUP = 32, OFFSET = 12;
  static constexpr bool MINIMUMS = false, TABLE = true;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) { fours_of(block + 1, to); }
  static Ints meaning(Ints codes) { return looked_up(FP4_MEANINGS, codes); }
  // 2^(byte - 128), of which some are too small for a float's exponent: a product of two powers.
  template <int G>
  static Floats scale(const uint8_t *head) {
    const Ints e = small_of<0, 0>(head), half = shift_right<1>(e), odd = e & splat_int(1);
    return as_floats(shift_left<23>(half + splat_int(63))) * as_floats(shift_left<23>(half + odd + splat_int(63)));
  }
};
