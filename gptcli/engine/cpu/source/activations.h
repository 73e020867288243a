// What weights meet: rows of floats, and what some kinds of weights need in place of these.
//
// A new form is a flag, its arrays, their memory, and how round_row in rounded.h makes it.
#pragma once
#include <stdint.h>

// As what weights of 8 and fewer bits meet activations; floats: so all weights do.
enum Met : int32_t { MET_BYTES = 0, MET_WORDS = 1, MET_FLOATS = 2 };

enum Needs {
  NOTHING = 0,  // the floats themselves
  BYTES = 1,    // 8-bit numbers, 32 of which share a scale
  WORDS = 2,    // 16-bit numbers, 32 of which share a scale
  HALVES = 4,   // bfloat16, where the processor multiplies pairs of these
  SUMS = 8,     // the sums of floats
};

// Rows are padded with zeros to a multiple of this, so that no kernel has to look at the end of a
// row.
constexpr int ROW_MULTIPLE = 64;

struct Reading {
  int64_t stride;  // values from row to row
  float *values;
  // BYTES, WORDS: values / scale, rounded, within ±127 or ±32767
  int8_t *bytes;   // each eight in the order of CODE_ORDER
  int16_t *words;
  float *scales;         // for each 32 values
  int32_t *sums;         // Σ of the rounded, for each 16
  // scale · Σ of the rounded, and where SUMS are needed Σ of the values, for each 16 and each 32
  float *sums_of_16, *sums_of_32;
  // HALVES
  uint16_t *halves;
};

// The order in which codes of eight columns stand in eight bytes, so that the even bytes of each
// four are two columns that follow each other, and so are the odd ones.
constexpr int CODE_ORDER[8] = {0, 4, 1, 5, 2, 6, 3, 7};

// The memory of so many rows, out of an arena.
template <class Arena>
static inline void give_reading(Arena &arena, Reading &to, int64_t rows, int64_t stride) {
  to.stride = stride;
  arena.give(to.values, rows * stride);
  arena.give(to.bytes, rows * stride);
  arena.give(to.words, rows * stride);
  arena.give(to.scales, rows * stride / 32);
  arena.give(to.sums, rows * stride / 16);
  arena.give(to.sums_of_16, rows * stride / 16);
  arena.give(to.sums_of_32, rows * stride / 32);
  arena.give(to.halves, rows * stride);
}
