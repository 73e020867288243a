// Whole numbers from 0 on with a scale and a minimum in float32 for SIZE columns, as checkpoints for
// GPUs and MLX's have them: number = scale · code + minimum. No number of theirs is changed.
//
// A block of a row comes in as its scale, its minimum and a byte for each code.
#pragma once
#include "heads_of_blocks.h"

template <int BITS> struct CodesOf { using Type = Bits<BITS>; };
template <> struct CodesOf<5> { using Type = Joined<4, 1>; };
template <> struct CodesOf<6> { using Type = Joined<4, 2>; };

template <int BITS, int SIZE>
struct Affine {
  static constexpr int NUMBERS = SIZE, BYTES = 8 + SIZE, GROUP = 32, OFFSET = 0;
  // Two floats, each as its lower and its upper half.
  static constexpr int HALVES = 4, HALVES_AT = 0, SMALLS = 0, SMALLS_AT = 0;
  static constexpr bool MINIMUMS = true, TABLE = false;
  using Codes = typename CodesOf<BITS>::Type;
  static void codes_of(const uint8_t *block, uint8_t *to) { memcpy(to, block + 8, SIZE); }
  template <int G> static Floats scale(const uint8_t *head) { return float_of(head); }
  template <int G> static Floats minimum(const uint8_t *head) { return float_of(head + 64); }

 private:
  static Floats float_of(const uint8_t *halves) {
    const Ints low = as_ints(load_bfloat16((const uint16_t *)halves)), high = as_ints(load_bfloat16((const uint16_t *)(halves + 32)));
    return as_floats(high | shift_right<16>(low));
  }
};

struct AFFINE4_32 : Affine<4, 32> { static constexpr char NAME[] = "affine4_32"; };
struct AFFINE4_64 : Affine<4, 64> { static constexpr char NAME[] = "affine4_64"; };
struct AFFINE4_128 : Affine<4, 128> { static constexpr char NAME[] = "affine4_128"; };
struct AFFINE5_64 : Affine<5, 64> { static constexpr char NAME[] = "affine5_64"; };
struct AFFINE6_64 : Affine<6, 64> { static constexpr char NAME[] = "affine6_64"; };
struct AFFINE8_32 : Affine<8, 32> { static constexpr char NAME[] = "affine8_32"; };
struct AFFINE8_64 : Affine<8, 64> { static constexpr char NAME[] = "affine8_64"; };
struct AFFINE8_128 : Affine<8, 128> { static constexpr char NAME[] = "affine8_128"; };
