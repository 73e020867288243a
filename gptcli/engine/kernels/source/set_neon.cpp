#include "instruction_set.h"
const InstructionSet *const neon_set = nullptr;
