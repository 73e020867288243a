#include "step.h"

#include <stdlib.h>
#include <string.h>

#include "pack.h"

namespace {

int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

// Hands out memory from one piece; first without any, to learn how much is needed.
struct Arena {
  char *memory = nullptr;
  int64_t used = 0;
  template <class T>
  void give(T *&to, int64_t count) {
    to = memory ? (T *)(memory + used) : nullptr;
    used = up(used + count * (int64_t)sizeof(T), 64);
  }
};

void give_reading(Arena &arena, Reading &to, int64_t rows, int64_t stride) {
  arena.give(to.values, rows * stride);
  arena.give(to.bytes, rows * stride);
  arena.give(to.halves, rows * stride);
  arena.give(to.scales, rows * stride / 32);
  arena.give(to.starts, rows * stride / 32);
  arena.give(to.sums, rows * stride / 32);
}

void lay_out(Step &s, Arena &arena, int64_t count, int64_t wanted, int threads) {
  const Model &m = *s.model;
  const int group = m.heads / m.kv_heads, queries = s.at_once * group;
  const int64_t pairs = m.experts ? count * m.chosen : 0;
  const int64_t rows = largest(largest(count, wanted), pairs);
  const int64_t widest = largest(largest(s.width_stride, s.gathered_stride), largest(s.hidden_stride, s.expert_stride));
  arena.give(s.stream, count * s.width_stride);
  arena.give(s.update, count * s.width_stride);
  arena.give(s.qkv, count * s.qkv_stride);
  arena.give(s.gathered, count * s.gathered_stride);
  arena.give(s.hidden, count * s.hidden_stride);
  arena.give(s.expert_hidden, pairs * s.expert_stride);
  give_reading(arena, s.common, rows, widest);
  arena.give(s.numbers, rows);
  arena.give(s.items, count);
  arena.give(s.next, m.layers);
  arena.give(s.shares, m.experts ? count * up(m.experts, 16) : 0);
  arena.give(s.chosen, pairs);
  arena.give(s.chosen_shares, pairs);
  arena.give(s.pair_token, pairs);
  arena.give(s.pair_share, pairs);
  arena.give(s.expert_start, m.experts + 1);
  arena.give(s.scratch, threads);
  for (int t = 0; t < threads; t++) {
    Scratch unused, &own = s.scratch ? s.scratch[t] : unused;
    give_reading(arena, own.reading, 1, widest);
    arena.give(own.columns, 16 * s.head_stride);
    arena.give(own.queries, queries * s.head_stride);
    arena.give(own.scores, queries * STRETCH);
    arena.give(own.running, queries * s.partial_stride);
    arena.give(own.fresh, queries * s.partial_stride);
  }
}

}  // namespace

Step *step_new(const Model *model, int count, int wanted, int threads) {
  Step *s = (Step *)calloc(1, sizeof(Step));
  if (!s) return nullptr;
  s->model = model;
  const int64_t q = (int64_t)model->heads * model->head_dim, kv = (int64_t)model->kv_heads * model->head_dim;
  s->k_at = (int32_t)up(q, 16), s->v_at = (int32_t)(s->k_at + up(kv, 16));
  s->qkv_stride = up(s->v_at + up(kv, 16), 64);
  s->width_stride = up(model->width, 64), s->gathered_stride = up(q, 64);
  s->hidden_stride = up(model->hidden, 64), s->expert_stride = up(model->expert_hidden, 64);
  s->head_stride = up(model->head_dim, 16), s->partial_stride = s->head_stride + 16;
  // So many tokens share a load of keys and values that there are some 64 queries.
  const int group = model->heads / model->kv_heads;
  s->at_once = group >= 64 ? 1 : group <= 4 ? 16 : 64 / group;
  Arena arena;
  lay_out(*s, arena, count, wanted, threads);
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, (size_t)arena.used) != 0) {
    free(s);
    return nullptr;
  }
  memset(memory, 0, (size_t)arena.used);
  arena = {(char *)memory, 0};
  lay_out(*s, arena, count, wanted, threads);
  const int64_t pairs = model->experts ? (int64_t)count * model->chosen : 0;
  for (int i = 0; i < largest(largest(count, wanted), pairs); i++) s->numbers[i] = i;
  return s;
}

void step_free(Step *step) {
  if (!step) return;
  free(step->partials);
  free(step->stream);  // the beginning of its memory
  free(step);
}

bool step_begin(Step *s, const Call *call, int threads) {
  const Model &m = *s->model;
  s->call = call;
  s->item_count = 0;
  int32_t most = 0;
  for (int32_t i = 0; i < call->count; i++) {
    Item *last = s->item_count ? &s->items[s->item_count - 1] : nullptr;
    if (last && last->row == call->rows[i] && last->position + last->count == call->positions[i] && last->count < s->at_once) {
      last->count++;
    } else {
      s->items[s->item_count++] = {i, 1, call->rows[i], call->positions[i]};
    }
    if (call->positions[i] / STRETCH + 1 > most) most = call->positions[i] / STRETCH + 1;
  }
  memset(s->next, 0, m.layers * sizeof(int32_t));
  // One thread for each item and head would leave others idle.
  s->splits = threads > 1 && most > 1 && (int64_t)s->item_count * m.kv_heads < 4 * threads;
  if (!s->splits) return true;
  s->most_stretches = most;
  free(s->partials);
  s->partials = nullptr;
  const size_t floats = (size_t)call->count * m.heads * most * s->partial_stride;
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, floats * sizeof(float)) != 0) return false;
  s->partials = (float *)memory;
  return true;
}
