#include "instruction_set.h"
const InstructionSet *const avx2_set = nullptr;
