// The stages for AVX-512 with VNNI. Compiled with flags of its own: nothing here may run before
// works_here has said yes, and nothing from the C++ library may be instantiated here, since the
// linker could use that copy elsewhere.
#include "instruction_set.h"
#include "numbers.h"
#ifdef __AVX512VNNI__
#include <immintrin.h>
namespace {
#include "vector_avx512.h"
#include "stages.h"
bool works_here() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}
const InstructionSet set = {"avx512", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const avx512_set = &set;
#else
const InstructionSet *const avx512_set = nullptr;
#endif
