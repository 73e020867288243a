// Floats of four bits, 16 of which share a scale in e4m3; the matrix' own scale is in Matrix. A block
// of 64 as ggml has it: four scales, then for each of them eight bytes, the low four bits of which
// are numbers 0 … 7 of the 16 and the high ones 8 … 15 (ggml-common.h of github.com/ggml-org/ggml).
#pragma once
#include "small_blocks.h"

struct NVFP4 {
  static constexpr char NAME[] = "nvfp4";
  static constexpr int NUMBERS = 64, BYTES = 36, HALVES = 0, HALVES_AT = 0, SMALLS = 4, SMALLS_AT = 0, GROUP = 16, OFFSET = 12;
  static constexpr bool MINIMUMS = false, TABLE = true;
  using Codes = Bits<4>;
  static void codes_of(const uint8_t *block, uint8_t *to) {
    for (int g = 0; g < 4; g++) fours_of<8>(block + 4 + 8 * g, to + 16 * g);
  }
  static Ints meaning(Ints codes) { return looked_up(FP4_MEANINGS, codes); }
  // Meanings are twice the numbers, and load_float8 gives a 256th.
  template <int G> static Floats scale(const uint8_t *head) { return load_float8(head + 16 * G) * splat(128.0f); }
  template <int G> static Floats minimum(const uint8_t *) { return splat(0.0f); }
};
