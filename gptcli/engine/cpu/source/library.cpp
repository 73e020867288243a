// The C interface that Python calls. Functions return 0 when all went well.
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <vector>

#include "api.h"
#include "crew.h"
#include "instruction_set.h"
#include "quantising.h"

enum Result : int32_t { DONE = 0, NO_MEMORY = 1, BAD_CALL = 2 };

static const InstructionSet *const SETS[] = {avx512bf16_set, avx512_set, avxvnni_set, avx2_set, neon_set, portable_set};

const InstructionSet *find_set(const char *name) {
  for (const InstructionSet *set : SETS) {
    if (!set || !set->works_here()) continue;
    if (!*name || !strcmp(name, set->name)) return set;
  }
  return nullptr;
}

struct Opened {
  const Model *model;
  const InstructionSet *set;
  int threads, count, wanted;
  Step *step;
  std::mutex mutex;
};

// What Python's side has to have too: a number that grows whenever a struct's fields or what they
// mean change, and the structs' sizes.
static const int32_t SIZES[] = {18,
                                sizeof(Matrix),
                                sizeof(Norm),
                                sizeof(Recurrent),
                                sizeof(Latents),
                                sizeof(LayerWeights),
                                sizeof(Model),
                                sizeof(LayerCopies),
                                sizeof(Copies),
                                sizeof(Edit),
                                sizeof(Edits),
                                sizeof(LayerEdits),
                                sizeof(CallEdits),
                                sizeof(LayerSquares),
                                sizeof(Squares),
                                sizeof(Kept),
                                sizeof(Call),
                                sizeof(Quantising)};

API const int32_t *kernels_sizes(int32_t *count) {
  *count = sizeof SIZES / sizeof *SIZES;
  return SIZES;
}

API const char *kernels_set(const char *name) {
  const InstructionSet *set = find_set(name);
  return set ? set->name : nullptr;
}

API Opened *kernels_open(const Model *model, const char *set_name, int32_t threads) {
  const InstructionSet *set = find_set(set_name);
  if (!set) return nullptr;
  Opened *opened = new Opened;
  opened->model = model, opened->set = set, opened->threads = threads < 1 ? 1 : threads;
  opened->count = opened->wanted = 0, opened->step = nullptr;
  return opened;
}

API void kernels_close(Opened *opened) {
  step_free(opened->step);
  delete opened;
}

API void kernels_end_threads() { pool_close(); }

// States of mixers: each row has one, and all of its tokens stand together.
static bool sound_states(const Model &m, const Call &call, int64_t rows) {
  bool any = false;
  for (int32_t i = 0; i < m.layers; i++) {
    const LayerWeights *of = m.layer[i].beside ? m.layer[i].beside : &m.layer[i];
    if (of->mixer <= ATTENTION) continue;
    any = true;
    if (!call.inputs || !call.inputs[i] || (of->mixer != SHORT_CONV && !(call.memory && call.memory[i]))) return false;
  }
  if (!any) return true;
  std::vector<bool> ended(rows), taken(call.slot_count);
  for (int32_t i = 0; i < call.count; i++) {
    const int32_t row = call.rows[i];
    if (i && row == call.rows[i - 1]) continue;
    if (i) ended[call.rows[i - 1]] = true;
    const int32_t slot = call.slots ? call.slots[row] : row;
    if (ended[row] || slot < 0 || slot >= call.slot_count || taken[slot]) return false;
    taken[slot] = true;
  }
  return true;
}

// Keys and values of one layer: each token has a place, and so has what it sees of its row.
static bool sound_kept(const LayerWeights &w, const Call &call, const Kept &kept) {
  const int32_t *table = call.tables[kept.near];
  if (!kept.keys || kept.capacity % 16) return false;
  if (table) {
    if (kept.capacity < STRETCH || kept.capacity % STRETCH) return false;
    for (int64_t i = 0; i < (int64_t)call.row_count * call.row_pages; i++) {
      if (table[i] < 0 || table[i] >= kept.batch) return false;
    }
  } else if (call.row_count > kept.batch) {
    return false;
  }
  for (int32_t i = 0; i < call.count; i++) {
    const int32_t at = call.positions[i], origin = kept.origins ? kept.origins[call.rows[i]] : 0;
    const int64_t places = table ? (int64_t)call.row_pages * kept.capacity : kept.capacity;
    if (at - origin >= places || origin < 0 || origin % STRETCH) return false;
    if (seen_from(at, w).first < origin) return false;
  }
  return true;
}

// Every index that the stages follow is looked at here, once.
static bool sound(const Model &m, const Call &call) {
  if (call.count < 1 || call.wanted_count < 0 || call.row_count < 0 || call.row_pages < 0) return false;
  if (call.cache_kind < CACHE_FLOAT32 || call.cache_kind > CACHE_INT8) return false;
  for (int32_t i = 0; call.cache_kind == CACHE_INT8 && i < m.layers; i++) if (m.layer[i].latents.rank) return false;
  const int32_t rows = call.row_count;
  for (int32_t i = 0; i < call.count; i++) {
    const int32_t at = call.positions[i];
    if (call.tokens[i] < 0 || call.tokens[i] >= m.vocab || call.rows[i] < 0 || call.rows[i] >= rows) return false;
    if (at < 0 || at >= call.angles || (m.positions && at >= m.positions_count)) return false;
  }
  for (int32_t i = 0; i < m.layers; i++) {
    const LayerWeights &w = m.layer[i];
    if (w.mixer == ATTENTION && w.cache == i && !sound_kept(w, call, call.kept[i])) return false;
  }
  for (int32_t i = 0; i < call.wanted_count; i++) if (call.wanted[i] < 0 || call.wanted[i] >= call.count) return false;
  if (call.probe && (call.probe->first < 0 || call.probe->end > call.count)) return false;
  return sound_states(m, call, rows);
}

// Memory for so many tokens and logits of so many.
static bool reserve(Opened *opened, int32_t count, int32_t wanted) {
  if (count > opened->count || wanted > opened->wanted) {
    step_free(opened->step);
    opened->count = opened->count > count ? opened->count : count;
    opened->wanted = opened->wanted > wanted ? opened->wanted : wanted;
    opened->step = step_new(opened->model, opened->count, opened->wanted, opened->threads);
    if (!opened->step) opened->count = opened->wanted = 0;
  }
  return opened->step;
}

static int32_t begin(Opened *opened, const Call *call) {
  if (!sound(*opened->model, *call)) return BAD_CALL;
  return reserve(opened, call->count, call->wanted_count) && step_begin(opened->step, call, opened->threads) ? DONE : NO_MEMORY;
}

API int32_t kernels_forward(Opened *opened, const Call *call) {
  std::lock_guard<std::mutex> lock(opened->mutex);
  const int32_t result = begin(opened, call);
  if (result == DONE) pool_run(opened->threads, opened->set->forward, opened->step);
  return result;
}

// Logits (count, vocab) of streams (count, width), before the final norm.
API int32_t kernels_unembed(Opened *opened, const float *streams, int32_t count, float *logits) {
  std::lock_guard<std::mutex> lock(opened->mutex);
  if (count < 1) return BAD_CALL;
  if (!reserve(opened, count, count)) return NO_MEMORY;
  Step &s = *opened->step;
  const int width = s.model->width;
  for (int32_t i = 0; i < count; i++) memcpy(s.stream + i * s.width_stride, streams + (int64_t)i * width, width * sizeof(float));
  Call call = {};
  call.count = call.wanted_count = count, call.wanted = s.numbers, call.logits = logits;
  s.call = &call;
  StageAlone alone = {&s, UNEMBED, 0};
  pool_run(opened->threads, opened->set->stage_alone, &alone);
  return DONE;
}

// Bytes beside weights and caches for a forward of `count` tokens of one row that stand before
// position `end`, with logits of `wanted`. Of the model only sizes are looked at.
API int64_t kernels_scratch(const Model *model, int32_t count, int32_t wanted, int32_t end, int32_t threads) {
  return step_bytes(model, count, wanted, end, threads);
}

// What weights of a kind need of activations, as activations.h says; -1 for a set that is not there.
API int32_t kernels_needs(const char *set, int32_t kind, int32_t met) {
  const InstructionSet *found = find_set(set);
  return found ? found->needs_of_kind(kind, met) : -1;
}

// out (count, columns) = those rows of a matrix, as float32.
API int32_t kernels_rows(const char *set, const Matrix *matrix, const int32_t *rows, int64_t count, float *out, int32_t threads) {
  const InstructionSet *found = find_set(set);
  if (!found) return BAD_CALL;
  for (int64_t i = 0; i < count; i++) if (rows[i] < 0 || rows[i] >= matrix->rows) return BAD_CALL;
  RowsAlone alone = {matrix, rows, count, out};
  pool_run(threads, found->rows_alone, &alone);
  return DONE;
}

// The rest is for tests.

API int32_t kernels_stage(Opened *opened, const Call *call, int32_t stage, int32_t layer) {
  const int32_t result = begin(opened, call);
  StageAlone alone = {opened->step, stage, layer};
  if (result == DONE) pool_run(opened->threads, opened->set->stage_alone, &alone);
  return result;
}

// Memory between stages: 0 stream, 1 qkv, 2 gathered; rows of `stride` floats. k_at, v_at: where the
// first layer's keys and values begin in a row.
API float *kernels_memory(Opened *opened, int32_t which, int64_t *stride, int32_t *k_at, int32_t *v_at) {
  const Step &s = *opened->step;
  *stride = which == 0 ? s.width_stride : which == 1 ? s.qkv_stride : s.gathered_stride;
  *k_at = (int32_t)keys_at(*s.model->layer), *v_at = (int32_t)values_at(*s.model->layer);
  return which == 0 ? s.stream : which == 1 ? s.qkv : s.gathered;
}

// out (count, rows padded to 16) = x (count, columns) @ matrix
API int32_t kernels_product(const char *set, const Matrix *matrix, const float *x, int32_t count, int32_t met, float *out) {
  const InstructionSet *found = find_set(set);
  if (!found) return BAD_CALL;
  Reading reading;
  char *memory = reading_new(reading, count, up(matrix->columns, ROW_MULTIPLE));
  if (!memory) return NO_MEMORY;
  std::vector<int32_t> which(count);
  for (int32_t i = 0; i < count; i++) {
    which[i] = i;
    float *to = reading.values + i * reading.stride;
    const float *from = x + (int64_t)i * matrix->columns;
    for (int32_t k = 0; k < matrix->columns; k++) to[k] = from[matrix->order ? matrix->order[k] : k];
  }
  found->product_alone(matrix, reading, which.data(), count, met, out);
  allocated_free(memory);
  return DONE;
}

API int32_t kernels_normalise(const char *set, const float *x, float *out, int32_t n, const Norm *norm, int32_t layernorm, float eps) {
  const InstructionSet *found = find_set(set);
  if (!found) return BAD_CALL;
  found->normalise_alone(x, out, n, norm, layernorm, eps);
  return DONE;
}

API int32_t kernels_activate(const char *set, const float *x, float *out, int32_t n, int32_t activation) {
  const InstructionSet *found = find_set(set);
  if (!found) return BAD_CALL;
  found->activate_alone(x, out, n, activation);
  return DONE;
}

// How many threads work at each of `count` jobs, of which the shares before it were waited.
API void kernels_crew(int32_t wanted, const double *waited, int32_t count, int32_t *out) {
  Crew crew(wanted);
  for (int32_t i = 0; i < count; i++) {
    out[i] = crew.now;
    crew.learn(waited[i]);
  }
}
