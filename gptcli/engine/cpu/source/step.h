// The memory of one forward: what the stages hand to each other. Rows are padded as ROW_MULTIPLE
// says.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "activations.h"
#include "model.h"
#include "pool.h"

constexpr int STRETCH = 64;  // positions that attention takes at once; partial softmaxes are of these
// What is there for each thread, or for each position that is seen, is no more than this however many
// there are: partial softmaxes that wait to be merged, what threads attend in, their own readings.
constexpr int64_t PARTIAL_BYTES = 16 << 20, ATTENDING_BYTES = 12 << 20, READING_BYTES = 8 << 20;

static inline int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Tokens of one row of the batch at consecutive positions, which share what they load.
struct Item { int32_t first, count, row, position; };

// All tokens of a row: a state goes from one to the next.
struct Run { int32_t first, count, row; };

struct Scratch {  // of one thread
  Reading reading;
  float *columns, *queries, *scores, *running, *fresh;
  // What meets codes, see codes.h: queries and their scales, shares of some of them.
  int16_t *words, *shares;
  float *word_scales;
};

// Where a part of what tokens are projected to begins in their row: each is whole panels.
static inline int64_t part_at(const LayerWeights &w, int part) {
  int64_t at = 0;
  for (int i = 0; i < part; i++) at += up(w.parts[i], 16);
  return at;
}
static inline int64_t keys_at(const LayerWeights &w) { return part_at(w, 1); }
static inline int64_t values_at(const LayerWeights &w) { return part_at(w, 2); }

// The matrices of these parts, in their order.
struct Parts { const Matrix *of[PARTS]; };
static inline Parts parts_of(const LayerWeights &w) {
  static const Matrix NONE = {};
  if (w.latents.rank) return {{&NONE, &w.key, &NONE, &NONE, &w.query, &NONE}};
  return {{&w.query, &w.key, &w.value, &w.output_gate, &w.step, &w.strength}};
}

// Which positions a query sees, first ≤ p < end.
struct Seen { int first, end; };
static inline Seen seen_from(int position, const LayerWeights &w) {
  const int near = w.window && position + 1 > w.window ? position + 1 - w.window : 0;
  const int begins = w.chunk ? position - position % w.chunk : 0;
  return {near > begins ? near : begins, position + 1};
}

// How many heads of queries share a head of keys and values.
static inline int sharing(const LayerWeights &w) { return w.kv_heads ? w.heads / w.kv_heads : 0; }
// Floats of a head; of one with its highest score and its sum before.
static inline int64_t head_stride(const LayerWeights &w) { return up(w.head_dim, 16); }
static inline int64_t partial_stride(const LayerWeights &w) { return 16 + up(w.value_dim, 16); }

struct Step {
  const Model *model;
  const Call *call;
  // From row to row; where layers differ, the largest has room.
  int64_t width_stride, qkv_stride, gathered_stride, hidden_stride, expert_stride, latent_stride;
  int64_t told_stride, asked_stride;
  int64_t absorbed_stride, most_heads;  // of what attention over latents reads, and of those who do
  float *aside;  // (count, width_stride), of a mixture whose parts read apart
  float *told, *projected, *asked;  // (count, layers · told_size) twice; (count, told_size)
  float *stream, *normed, *qkv, *gathered, *update, *hidden, *expert_hidden;
  Reading common;
  Scratch *scratch;  // (threads)
  bool own_readings;  // each thread has one of a single row; else they make a common one
  int32_t attending;  // threads that have what attention needs; the others leave it to them
  // Attention.
  Item *items;
  Run *runs;
  int32_t run_count;
  int32_t count, item_count, at_once;
  int32_t round;     // stretches of a query whose partial softmaxes are held at once
  int32_t threads;   // among which a layer's stretches may be shared out; 0: items are enough
  float *partials;   // (count, heads, round + 1, partial_stride), the last what is merged so far
  int32_t *next;     // (2, layers), the next unit of work of each, and of the mixer beside it
  int32_t *numbers;  // 0, 1, 2, …: all rows of a reading
  // A mixture: pairs of a token and an expert, sorted by expert.
  float *shares;         // (count, experts padded to 16), what the router gives, then chances
  float *ranks;          // the same, by what experts are chosen
  float *latent;         // (count, latent_stride), what experts read, then what they say together
  float *beside;         // (count, 16), first of each row what a shared expert's gate gives
  int32_t *chosen;       // (count, chosen)
  float *chosen_shares;  // (count, chosen)
  int32_t *pair_token, *expert_start;
  float *pair_share;
};

// Bytes of the partial softmaxes of one stretch, for so many tokens.
static inline int64_t partial_bytes(const LayerWeights &w, int64_t count) {
  return count * w.heads * partial_stride(w) * (int64_t)sizeof(float);
}

// Whether a layer's attention is split by position: one thread for each item and head of keys and
// values would leave others idle. Where not even one stretch has room beside what is merged so far,
// there are items enough.
static inline bool splits(const Step &s, const LayerWeights &w) {
  return (int64_t)s.item_count * w.kv_heads < 4 * s.threads && 2 * partial_bytes(w, s.count) <= PARTIAL_BYTES;
}

// Memory for `count` tokens on so many threads, zeros; null when there is none.
Step *step_new(const Model *model, int count, int wanted, int threads);
void step_free(Step *step);
// Memory for `rows` rows to be read, zeros, to be given to allocated_free(); null when there is none.
char *reading_new(Reading &reading, int64_t rows, int64_t stride);
void allocated_free(char *memory);
// Get ready for a call: cut it into items, see whether attention should be split by position.
// False when its partial results do not fit into memory.
bool step_begin(Step *step, const Call *call, int threads);
// Bytes of all that is taken for `count` tokens of one row of which the last stands at `end` - 1.
int64_t step_bytes(const Model *model, int count, int wanted, int end, int threads);
