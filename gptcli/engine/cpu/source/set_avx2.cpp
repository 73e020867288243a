// The stages for AVX2, FMA and F16C. See set_avx512.cpp for what must not be here.
#include "instruction_set.h"
#include "numbers.h"
#ifdef __AVX2__
#include <immintrin.h>
namespace {
#include "vector_avx2.h"
#include "stages.h"
bool works_here() {  // every processor with AVX2 and FMA has F16C
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
const InstructionSet set = {"avx2", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const avx2_set = &set;
#else
const InstructionSet *const avx2_set = nullptr;
#endif
