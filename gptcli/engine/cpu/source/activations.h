// What weights meet: rows of floats, and what some kinds of weights need in place of these.
//
// A new form is a flag, its arrays, their memory, and how round_row in rounded.h makes it.
#pragma once
#include <stdint.h>

enum Needs {
  NOTHING = 0,  // the floats themselves
  BYTES = 1,    // 8-bit numbers, 32 of which share a scale
  HALVES = 2,   // bfloat16, where the processor multiplies pairs of these
  SUMS = 4,     // the sums of 32 floats
};

// Rows are padded with zeros to a multiple of this, so that no kernel has to look at the end of a
// row: a multiple of the STEP of every kind of weights.
constexpr int ROW_MULTIPLE = 64;

struct Reading {
  int64_t stride;  // values from row to row
  float *values;
  // BYTES
  int8_t *bytes;        // values / scale, rounded, within -127 … 127
  float *scales;        // for each 32 values
  int32_t *starts;      // BYTE_START · Σ bytes, for each 32
  float *rounded_sums;  // scale · Σ bytes, for each 32
  // HALVES
  uint16_t *halves;
  // SUMS
  float *sums;  // for each 32 values
};

// The memory of so many rows, out of an arena.
template <class Arena>
static inline void give_reading(Arena &arena, Reading &to, int64_t rows, int64_t stride) {
  to.stride = stride;
  arena.give(to.values, rows * stride);
  arena.give(to.bytes, rows * stride);
  arena.give(to.scales, rows * stride / 32);
  arena.give(to.starts, rows * stride / 32);
  arena.give(to.rounded_sums, rows * stride / 32);
  arena.give(to.halves, rows * stride);
  arena.give(to.sums, rows * stride / 32);
}
