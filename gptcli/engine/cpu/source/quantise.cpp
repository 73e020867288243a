// Floats → ggml's blocks, and what that costs.
#include "api.h"
#include "instruction_set.h"
#include "numbers.h"
#include "quantising.h"

enum Quantised : int32_t { QUANTISED = 0, UNKNOWN = 1, NOT_FINITE = 2, TOO_LARGE = 3 };

API int32_t kernels_quantise(const char *set, const Quantising *job, int32_t threads) {
  const InstructionSet *found = find_set(set);
  if (!found || !found->quantises(job->block)) return UNKNOWN;
  uint32_t largest = 0;
  for (int64_t i = 0; i < job->rows * job->columns; i++) {
    const uint32_t size = to_bits(job->numbers[i]) & 0x7fffffff;
    largest = size > largest ? size : largest;
  }
  if (largest >= to_bits(INFINITY)) return NOT_FINITE;
  if (largest > to_bits(65504.0f)) return TOO_LARGE;  // scales are halves
  QuantisingRun run{*job, 0};
  pool_run(threads, found->quantise, &run);
  return QUANTISED;
}
