#include "step.h"

#include <stdlib.h>
#include <string.h>

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

// What lay_out(arena) gives, all zeros; null when there is no memory for it.
template <class LayOut>
char *allocated(LayOut lay_out) {
  Arena arena;
  lay_out(arena);
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, (size_t)arena.used) != 0) return nullptr;
  memset(memory, 0, (size_t)arena.used);
  arena = {(char *)memory, 0};
  lay_out(arena);
  return (char *)memory;
}

void lay_out(Step &s, Arena &arena, int64_t count, int64_t wanted, int threads) {
  const Model &m = *s.model;
  int64_t head = 0, queries = 0;
  for (int i = 0; i < m.layers; i++) {
    head = largest(head, head_stride(m.layer[i]));
    queries = largest(queries, s.at_once * sharing(m.layer[i]));
  }
  const int64_t partial = 16 + head;
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
    arena.give(own.columns, 16 * head);
    arena.give(own.queries, queries * head);
    arena.give(own.scores, queries * STRETCH);
    arena.give(own.running, queries * partial);
    arena.give(own.fresh, queries * partial);
  }
}

}  // namespace

Step *step_new(const Model *model, int count, int wanted, int threads) {
  Step *s = (Step *)calloc(1, sizeof(Step));
  if (!s) return nullptr;
  s->model = model;
  s->width_stride = up(model->width, ROW_MULTIPLE), s->expert_stride = up(model->expert_hidden, ROW_MULTIPLE);
  int most = 1;
  for (int i = 0; i < model->layers; i++) {
    const LayerWeights &w = model->layer[i];
    const int64_t qkv_end = values_at(w) + up((int64_t)w.kv_heads * w.head_dim, 16);
    s->qkv_stride = largest(s->qkv_stride, up(qkv_end, ROW_MULTIPLE));
    s->gathered_stride = largest(s->gathered_stride, up((int64_t)w.heads * w.head_dim, ROW_MULTIPLE));
    s->hidden_stride = largest(s->hidden_stride, up(w.hidden, ROW_MULTIPLE));
    most = sharing(w) > most ? sharing(w) : most;
  }
  // So many tokens share a load of keys and values that there are some 64 queries.
  s->at_once = most >= 64 ? 1 : most <= 4 ? 16 : 64 / most;
  if (!allocated([&](Arena &arena) { lay_out(*s, arena, count, wanted, threads); })) {
    free(s);
    return nullptr;
  }
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

char *reading_new(Reading &reading, int64_t rows, int64_t stride) {
  return allocated([&](Arena &arena) { give_reading(arena, reading, rows, stride); });
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
  s->threads = threads > 1 && most > 1 ? threads : 0;
  int64_t largest_row = 0;
  for (int i = 0; i < m.layers; i++) {
    const LayerWeights &w = m.layer[i];
    if (splits(*s, w)) largest_row = largest(largest_row, w.heads * partial_stride(w));
  }
  if (!largest_row) return true;
  // At the least so many stretches that there is work for all threads.
  const int64_t busy = 4 * threads / s->item_count + 1, held = PARTIAL_BYTES / (call->count * largest_row * (int64_t)sizeof(float));
  s->round = (int32_t)(most < largest(busy, held) ? most : largest(busy, held));
  free(s->partials);
  s->partials = nullptr;
  const size_t floats = (size_t)call->count * (s->round + 1) * largest_row;
  void *memory = nullptr;
  if (posix_memalign(&memory, 64, floats * sizeof(float)) != 0) return false;
  s->partials = (float *)memory;
  return true;
}
