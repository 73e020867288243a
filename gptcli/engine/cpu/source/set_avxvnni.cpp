// The stages for AVX2 with VNNI, as processors without AVX-512 have it. See set_avx512.cpp.
#include "instruction_set.h"
#include "numbers.h"
#ifdef __AVXVNNI__
#include <cpuid.h>
#include <immintrin.h>
namespace {
#include "vector_avx2.h"
#include "stages.h"
bool works_here() {
  unsigned a, b, c, d;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return false;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4));
}
const InstructionSet set = {"avxvnni", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const avxvnni_set = &set;
#else
const InstructionSet *const avxvnni_set = nullptr;
#endif
