// The stages for 64-bit Arm with dot products. See set_avx512.cpp for what must not be here.
#include "instruction_set.h"
#include "numbers.h"
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#ifdef __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
namespace {
#include "vector_neon.h"
#include "stages.h"
bool works_here() {
#ifdef __linux__
  return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
  return true;  // every Apple processor of this kind has them
#endif
}
const InstructionSet set = {"neon", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const neon_set = &set;
#else
const InstructionSet *const neon_set = nullptr;
#endif
