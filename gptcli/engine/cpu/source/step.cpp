#include "step.h"

#include <stdlib.h>
#include <string.h>

namespace {

int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t smallest(int64_t a, int64_t b) { return a < b ? a : b; }

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

// What lay_out(arena) gives, all zeros; null when there is no memory for it. Much memory comes as zeros, page
// by page where threads first touch it: writing these here would have all but one wait.
template <class LayOut>
char *allocated(LayOut lay_out) {
  Arena arena;
  lay_out(arena);
  char *const whole = (char *)calloc(1, (size_t)arena.used + 64);
  if (!whole) return nullptr;
  // At least the pointer that calloc gave fits in front of it.
  char *const memory = whole + (64 - (uintptr_t)whole % 64);
  memcpy(memory - sizeof whole, &whole, sizeof whole);
  arena = {memory, 0};
  lay_out(arena);
  return memory;
}

int64_t widest_row(const Step &s) {
  const int64_t blocks = largest(s.gathered_stride, largest(s.hidden_stride, s.expert_stride));
  const int64_t latents = largest(s.latent_stride, s.absorbed_stride);
  return largest(largest(s.width_stride, s.asked_stride), largest(blocks, latents));
}

// What a thread attends in.
void lay_out_attention(const Step &s, Arena &arena, Scratch &own) {
  const Model &m = *s.model;
  int64_t head = 0, queries = 0;
  for (int i = 0; i < m.layers; i++) {
    head = largest(head, head_stride(m.layer[i]));
    queries = largest(queries, s.at_once * sharing(m.layer[i]));
  }
  const int64_t partial = 16 + head;
  arena.give(own.columns, 16 * head);
  arena.give(own.queries, queries * head);
  arena.give(own.scores, queries * STRETCH);
  arena.give(own.words, queries * head);
  arena.give(own.word_scales, queries);
  arena.give(own.shares, 4 * STRETCH);
  arena.give(own.running, queries * partial);
  arena.give(own.fresh, queries * partial);
}

int64_t attention_bytes(const Step &s) {
  Scratch unused;
  Arena arena;
  lay_out_attention(s, arena, unused);
  return arena.used;
}

void lay_out(Step &s, Arena &arena, int64_t count, int64_t wanted, int threads) {
  const Model &m = *s.model;
  const int64_t pairs = m.experts ? count * m.chosen : 0;
  const int64_t rows = largest(largest(count, wanted), pairs), widest = widest_row(s);
  arena.give(s.stream, count * s.width_stride);
  arena.give(s.update, count * s.width_stride);
  arena.give(s.qkv, count * s.qkv_stride);
  arena.give(s.gathered, count * s.gathered_stride);
  arena.give(s.hidden, count * s.hidden_stride);
  arena.give(s.expert_hidden, pairs * s.expert_stride);
  arena.give(s.aside, m.apart ? count * s.width_stride : 0);
  arena.give(s.told, count * s.told_stride);
  arena.give(s.projected, count * s.told_stride);
  arena.give(s.asked, count * s.asked_stride);
  give_reading(arena, s.common, rows, widest);
  arena.give(s.numbers, largest(rows, count * s.most_heads));
  arena.give(s.items, count);
  arena.give(s.runs, count);
  arena.give(s.next, 2 * m.layers);
  arena.give(s.shares, m.experts ? count * up(m.experts, 16) : 0);
  arena.give(s.ranks, m.experts ? count * up(m.experts, 16) : 0);
  arena.give(s.latent, count * s.latent_stride);
  arena.give(s.beside, m.experts ? count * 16 : 0);
  arena.give(s.chosen, pairs);
  arena.give(s.chosen_shares, pairs);
  arena.give(s.pair_token, pairs);
  arena.give(s.pair_share, pairs);
  arena.give(s.expert_start, m.experts + 1);
  arena.give(s.scratch, threads);
  for (int t = 0; t < threads; t++) {
    Scratch unused, &own = s.scratch ? s.scratch[t] : unused;
    if (s.own_readings) give_reading(arena, own.reading, 1, widest);
    if (t < s.attending) lay_out_attention(s, arena, own);
  }
}

// The sizes that do not depend on how many tokens there are.
Step sized(const Model *model, int threads) {
  Step s = {};
  s.model = model;
  s.width_stride = up(model->width, ROW_MULTIPLE), s.expert_stride = up(model->expert_hidden, ROW_MULTIPLE);
  s.latent_stride = up(model->latent, ROW_MULTIPLE);
  s.told_stride = up((int64_t)model->layers * model->told_size, ROW_MULTIPLE), s.asked_stride = up(model->told_size, ROW_MULTIPLE);
  int most = 1;
  for (int i = 0; i < model->layers; i++) {
    const LayerWeights &w = model->layer[i];
    for (const LayerWeights *of = &w; of; of = of->beside) {
      s.qkv_stride = largest(s.qkv_stride, up(part_at(*of, PARTS), ROW_MULTIPLE));
      s.gathered_stride = largest(s.gathered_stride, up(of->gathered, ROW_MULTIPLE));
    }
    s.hidden_stride = largest(s.hidden_stride, up(w.hidden, ROW_MULTIPLE));
    most = sharing(w) > most ? sharing(w) : most;
    if (!w.latents.rank) continue;
    const int64_t each = up(largest(w.latents.plain, w.latents.rank), ROW_MULTIPLE);
    s.absorbed_stride = largest(s.absorbed_stride, largest(w.heads * each, up(w.latents.query_rank, ROW_MULTIPLE)));
    s.most_heads = largest(s.most_heads, w.heads);
  }
  // So many tokens share a load of keys and values that there are some 64 queries, or on many threads
  // fewer, of which there is room for all.
  s.at_once = most >= 64 ? 1 : most <= 4 ? 16 : 64 / most;
  while (s.at_once > 1 && threads * attention_bytes(s) > ATTENDING_BYTES) s.at_once /= 2;
  s.attending = (int32_t)largest(1, smallest(threads, ATTENDING_BYTES / largest(1, attention_bytes(s))));
  Reading row;
  Arena reading;
  give_reading(reading, row, 1, widest_row(s));
  s.own_readings = threads * reading.used <= READING_BYTES;
  return s;
}

// See whether attention is split by position, in rounds of how many stretches: bytes for what waits
// to be merged. end: one after the last position.
int64_t share_out(Step &s, int end, int threads) {
  const int64_t stretches = (end - 1) / STRETCH + 1;
  s.threads = threads > 1 && stretches > 1 ? threads : 0;
  int64_t most = 0;
  for (int i = 0; i < s.model->layers; i++) {
    if (splits(s, s.model->layer[i])) most = largest(most, partial_bytes(s.model->layer[i], s.count));
  }
  if (!most) return 0;
  // With what is merged so far behind them.
  s.round = (int32_t)smallest(stretches, PARTIAL_BYTES / most - 1);
  return (s.round + 1) * most;
}

}  // namespace

int64_t step_bytes(const Model *model, int count, int wanted, int end, int threads) {
  Step s = sized(model, threads);
  Arena arena;
  lay_out(s, arena, count, wanted, threads);
  s.count = count, s.item_count = (int32_t)(up(count, s.at_once) / s.at_once);
  return arena.used + share_out(s, end, threads);
}

Step *step_new(const Model *model, int count, int wanted, int threads) {
  Step *s = (Step *)calloc(1, sizeof(Step));
  if (!s) return nullptr;
  *s = sized(model, threads);
  if (!allocated([&](Arena &arena) { lay_out(*s, arena, count, wanted, threads); })) {
    free(s);
    return nullptr;
  }
  const int64_t pairs = model->experts ? (int64_t)count * model->chosen : 0;
  const int64_t numbers = largest(largest(largest(count, wanted), pairs), count * s->most_heads);
  for (int64_t i = 0; i < numbers; i++) s->numbers[i] = (int32_t)i;
  return s;
}

void step_free(Step *step) {
  if (!step) return;
  free(step->partials);
  allocated_free((char *)step->stream);  // the beginning of its memory
  free(step);
}

void allocated_free(char *memory) {
  if (!memory) return;
  char *whole;
  memcpy(&whole, memory - sizeof whole, sizeof whole);
  free(whole);
}

char *reading_new(Reading &reading, int64_t rows, int64_t stride) {
  return allocated([&](Arena &arena) { give_reading(arena, reading, rows, stride); });
}

bool step_begin(Step *s, const Call *call, int threads) {
  s->call = call;
  s->count = call->count, s->item_count = s->run_count = 0;
  int32_t end = 0;
  for (int32_t i = 0; i < call->count; i++) {
    Item *last = s->item_count ? &s->items[s->item_count - 1] : nullptr;
    if (last && last->row == call->rows[i] && last->position + last->count == call->positions[i] && last->count < s->at_once) {
      last->count++;
    } else {
      s->items[s->item_count++] = {i, 1, call->rows[i], call->positions[i]};
    }
    Run *run = s->run_count ? &s->runs[s->run_count - 1] : nullptr;
    if (run && run->row == call->rows[i]) run->count++;
    else s->runs[s->run_count++] = {i, 1, call->rows[i]};
    if (call->positions[i] + 1 > end) end = call->positions[i] + 1;
  }
  memset(s->next, 0, 2 * s->model->layers * sizeof(int32_t));
  const int64_t bytes = share_out(*s, end, threads);
  free(s->partials);
  s->partials = nullptr;
  void *memory = nullptr;
  if (bytes && posix_memalign(&memory, 64, (size_t)bytes) != 0) return false;
  s->partials = (float *)memory;
  return true;
}
