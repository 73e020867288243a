// The stages for AVX-512 with VNNI and bfloat16. See set_avx512.cpp.
#include "instruction_set.h"
#include "numbers.h"
#ifdef __AVX512BF16__
#include <immintrin.h>
namespace {
#include "vector_avx512.h"
#include "stages.h"
bool works_here() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma");
}
const InstructionSet set = {"avx512bf16", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const avx512bf16_set = &set;
#else
const InstructionSet *const avx512bf16_set = nullptr;
#endif
