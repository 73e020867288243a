#include "instruction_set.h"
const InstructionSet *const avxvnni_set = nullptr;
