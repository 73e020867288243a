// What each set of instructions offers: the same functions, compiled for it.
#pragma once
#include "model.h"
#include "pool.h"
#include "step.h"

enum Stage : int32_t { EMBED = 0, PLACE_HEADS = 1, ATTEND = 2, LAYER = 3, UNEMBED = 4 };
struct StageAlone { const Step *step; int32_t stage, layer; };
struct RowsAlone { const Matrix *matrix; const int32_t *rows; int64_t count; float *out; };

struct InstructionSet {
  const char *name;
  bool (*works_here)();
  Job forward, stage_alone, rows_alone;
  int (*needs_of_kind)(int32_t kind, int32_t met);
  void (*product_alone)(const Matrix *, Reading, const int32_t *which, int32_t count, int32_t met, float *out);
  void (*normalise_alone)(const float *, float *, int32_t n, const Norm *, int32_t layernorm, float eps);
  void (*activate_alone)(const float *, float *, int32_t n, int32_t activation);
  bool (*quantises)(const char *block);
  Job quantise;
};

// The set of that name, or the best one for "", where it was built and works on this machine.
const InstructionSet *find_set(const char *name);

// Null where this library was not built with it.
extern const InstructionSet *const avx512bf16_set, *const avx512_set, *const avxvnni_set, *const avx2_set;
extern const InstructionSet *const neon_set, *const portable_set;
