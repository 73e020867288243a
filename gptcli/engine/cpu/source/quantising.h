// Rows of floats that become ggml's blocks.
#pragma once
#include <stdint.h>

struct Quantising {
  const char *block;      // as ggml calls it, in small letters
  const float *numbers;   // (rows, columns), finite
  int64_t rows, columns;  // the last block of a row is filled up with zeros
  const float *weights;   // how much an error in each column weighs, or null: all alike
  uint8_t *out;           // (rows, blocks of a row, bytes of a block)
  double *errors;         // Σ weight · (what is left)² is added for each row
  int32_t quick;          // 1: near rather than nearest, in a fraction of the time
};

// One run of threads over it: which rows are next.
struct QuantisingRun {
  const Quantising &job;
  int32_t next;
};
