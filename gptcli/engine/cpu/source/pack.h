// The layout of packed matrices. Rows go in blocks of 16, a lane each; a block holds all its
// columns, so that a thread reads its blocks from first to last, as memory likes best.
//
//   FLOAT32   for each column: 16 floats
//   FLOAT16   for each column: 16 halves
//   BFLOAT16  for each pair of columns: 16 × (even, odd)
//   INT8      for each 64 columns: 16 half scales of the first 32, 16 of the others; then eight
//             times 16 × 4 bytes of the first 32 columns and 16 × 4 of the others.
//             number = scale · (byte - 128)
//   INT4      for each 64 columns: 2 × 16 half scales, 2 × 16 half minimums; then four times
//             16 × 4 bytes of the first 32 columns and 16 × 4 of the others; the low four bits
//             are columns 0 … 15 of the 32, the high ones 16 … 31.
//             number = scale · (four bits) + minimum
//
// Columns are padded with what adds nothing.
#pragma once
#include <stdint.h>

#include "model.h"

constexpr int INT8_STEP = 64 + 1024, INT4_STEP = 128 + 512;  // bytes of 64 columns

static inline int64_t block_bytes(int32_t kind, int64_t columns) {
  const auto padded = [&](int64_t n) { return (columns + n - 1) / n * n; };
  switch (kind) {
    case FLOAT32: return padded(4) * 64;
    case FLOAT16: return padded(4) * 32;
    case BFLOAT16: return padded(8) * 32;
    case INT8: return padded(64) / 64 * INT8_STEP;
    default: return padded(64) / 64 * INT4_STEP;
  }
}

// How the numbers come in. The last three are GGUF's blocks of 32, which keep their values.
enum Form : int32_t { AS_FLOAT32 = 0, AS_BFLOAT16 = 1, AS_FLOAT16 = 2, Q8_0 = 3, Q4_0 = 4, Q4_1 = 5 };
