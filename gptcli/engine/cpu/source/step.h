// The memory of one forward: what the stages hand to each other. Rows are padded with zeros to a
// multiple of 64 floats, so that no kernel has to look at the end of a row.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "pool.h"

constexpr int STRETCH = 64;  // positions that attention takes at once; partial softmaxes are of these

static inline int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Rows of activations as matrices read them: floats, and what some kinds of weights need.
struct Reading {
  float *values;
  int8_t *bytes;    // values / scale, rounded, within -127 … 127
  uint16_t *halves;  // values as bfloat16, where the processor multiplies those
  float *scales;    // for each 32 values
  int32_t *starts;  // BYTE_START · Σ bytes, for each 32
  float *sums;      // Σ values as the bytes have them, for each 32
  int64_t stride;   // values from row to row
};

// Tokens of one row of the batch at consecutive positions, which share what they load.
struct Item { int32_t first, count, row, position; };

struct Scratch {  // of one thread
  Reading reading;
  float *columns, *queries, *scores, *running, *fresh;
};

struct Step {
  const Model *model;
  const Call *call;
  int32_t q_end, k_at, v_at;  // where keys and values begin in a row of qkv
  int64_t width_stride, qkv_stride, gathered_stride, hidden_stride, expert_stride;
  float *stream, *normed, *qkv, *gathered, *update, *hidden, *expert_hidden;
  Reading common;
  Scratch *scratch;  // (threads)
  // Attention.
  Item *items;
  int32_t item_count, at_once, splits, most_stretches;
  int64_t head_stride, partial_stride;  // floats of a head; of a head with its highest and sum
  float *partials;                      // (count, heads, most_stretches, partial_stride)
  int32_t *next;                        // (layers), the next unit of work of each
  int32_t *numbers;                     // 0, 1, 2, …: all rows of a reading
  // A mixture: pairs of a token and an expert, sorted by expert.
  float *shares;         // (count, experts padded to 16), what the router gives
  int32_t *chosen;       // (count, chosen)
  float *chosen_shares;  // (count, chosen)
  int32_t *pair_token, *expert_start;
  float *pair_share;
};

// Memory for `count` tokens on so many threads, zeros; null when there is none.
Step *step_new(const Model *model, int count, int wanted, int threads);
void step_free(Step *step);
// Get ready for a call: cut it into items, see whether attention should be split by position.
// False when its partial results do not fit into memory.
bool step_begin(Step *step, const Call *call, int threads);
