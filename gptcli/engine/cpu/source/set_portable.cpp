// The stages for any processor.
#include "instruction_set.h"
#include "numbers.h"
namespace {
#include "vector_portable.h"
#include "stages.h"
bool works_here() { return true; }
const InstructionSet set = {"portable", works_here, forward, stage_alone, rows_alone, needs_of_kind, product_alone, normalise_alone, activate_alone, quantises, quantise_part};
}  // namespace
const InstructionSet *const portable_set = &set;
