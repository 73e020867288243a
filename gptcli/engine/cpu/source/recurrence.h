// Mixers that have a state in place of keys and values: a causal convolution of the last tokens, and
// memories that every token changes and then reads.
#pragma once

static void gates_of(float *x, int64_t n, int32_t activation) {
  if (activation == SOFTPLUS) {
    for (int64_t i = 0; i < n; i += 16) store(x + i, softplus(load(x + i)));
  } else {
    for (int64_t i = 0; i < n; i += 16) store(x + i, sigmoid(load(x + i)));
  }
}

// gathered *= activation(gate), of each feature or of each head.
static void gate_gathered(const Step &s, const Team &team, const LayerWeights &w) {
  if (!w.output_gate.data) return;
  const Range tokens = part_of(s.call->count, team);
  const int64_t at = part_at(w, 3);
  const bool each_head = w.output_gate.rows == w.heads && w.head_dim > 1;
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *gate = s.qkv + t * s.qkv_stride + at, *to = s.gathered + t * s.gathered_stride;
    gates_of(gate, up(w.output_gate.rows, 16), s.model->gate_activation);
    for (int i = 0; i < w.gathered; i++) to[i] *= gate[each_head ? i / w.head_dim : i];
  }
  team.wait();
}

static inline int32_t slot_of(const Call &c, int32_t row) { return c.slots ? c.slots[row] : row; }

// Where what a probe wants to see of a token goes, `parts` numbers each, or null.
static inline float *shown_state(const Step &s, int layer, int64_t t, int64_t parts) {
  const Copies *probe = s.call->probe;
  if (!probe || t < probe->first || t >= probe->end) return nullptr;
  float *to = probe->layer[layer].state;
  return to ? to + (t - probe->first) * parts : nullptr;
}

// What a convolution goes over: parts from one to another, and where they are in a token's row.
struct Filtered { int first, end; int64_t at, features; };
static inline Filtered filtered(const LayerWeights &w) {
  const int first = w.mixer == SHORT_CONV ? 2 : 0;
  return {first, 3, part_at(w, first), part_at(w, 3) - part_at(w, first)};
}

// Rows are pages apart: processors do not find out which comes next, they are asked for so many before.
constexpr int AHEAD_ROWS = 4;

// x = silu(bias + Σ weight · (the last tokens' x)) for 16 features of all tokens of a run; a short
// convolution goes over before · value, without silu, and gathers after · that.
static void filter_panel(const Step &s, const LayerWeights &w, int layer, const Run &run, float *inputs, int64_t stride,
                         int64_t at, const float *weight, int64_t weight_stride, const float *bias) {
  const bool alone = w.mixer == SHORT_CONV;
  const int taps = w.recurrent.taps;
  Floats past[MOST_TAPS], weights[MOST_TAPS];
  for (int j = 0; j < taps; j++) weights[j] = load(weight + j * weight_stride);
  for (int j = 0; j < taps - 1; j++) past[j] = load(inputs + j * stride);
  const Floats start = bias ? load(bias) : splat(0.0f);
  for (int64_t t = run.first; t < run.first + run.count; t++) {
    float *row = s.qkv + t * s.qkv_stride;
    __builtin_prefetch(row + AHEAD_ROWS * s.qkv_stride + at);
    Floats x = load(row + at), y = start;
    const int64_t in_part = at - values_at(w);
    if (alone) x = x * load(row + in_part);
    for (int j = 0; j < taps - 1; j++) y = fma(weights[j], past[j], y);
    y = fma(weights[taps - 1], x, y);
    for (int j = 0; j + 1 < taps - 1; j++) past[j] = past[j + 1];
    if (taps > 1) past[taps - 2] = x;
    float *shown = alone ? shown_state(s, layer, t, stride / 16) : nullptr;
    if (shown) {
      Floats squares = splat(0.0f);
      for (int j = 0; j < taps - 1; j++) squares = fma(past[j], past[j], squares);
      shown[in_part / 16] = sum(squares);
    }
    if (alone) store(s.gathered + t * s.gathered_stride + in_part, y * load(row + keys_at(w) + in_part));
    else store(row + at, y * sigmoid(y));
  }
  for (int j = 0; j < taps - 1; j++) store(inputs + j * stride, past[j]);
}

static void filter_all(const Step &s, const Team &team, const LayerWeights &w, int layer) {
  const Recurrent &r = w.recurrent;
  const float *const weights[] = {r.query_filter, r.key_filter, r.value_filter};
  const float *const biases[] = {r.query_bias, r.key_bias, r.value_bias};
  const Filtered all = filtered(w);
  const Range panels = part_of(all.features / 16, team);
  for (int i = 0; i < s.run_count; i++) {
    const Run &run = s.runs[i];
    float *inputs = (float *)s.call->inputs[layer] + slot_of(*s.call, run.row) * (r.taps - 1) * all.features;
    int64_t begin = 0;
    for (int part = all.first; part < all.end; part++) {
      const int64_t size = up(w.parts[part], 16), end = begin + size / 16;
      for (int64_t p = panels.first > begin ? panels.first : begin; p < panels.end && p < end; p++) {
        const int64_t here = 16 * (p - begin);
        filter_panel(s, w, layer, run, inputs + 16 * p, all.features, all.at + 16 * p, weights[part] + here, size,
                     biases[part] ? biases[part] + here : nullptr);
      }
      begin = end;
    }
  }
}

// Queries and keys of length 1, the queries divided by sqrt(their features).
static inline void of_length_one(float *x, int n, float factor) {
  const Floats scale = splat(factor / sqrtf(sum_of_squares(x, n, 0.0f) + 1e-6f));
  for (int i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    store_part(x + i, load_part(x + i, lanes) * scale, lanes);
  }
}

// Steps become decays, and strengths what is written by; queries and keys get their length.
static void prepare_memories(const Step &s, const Team &team, const LayerWeights &w) {
  const Recurrent &r = w.recurrent;
  const int64_t steps = part_at(w, 4), strengths = part_at(w, 5), padded = up(r.heads, 16);
  const float factor = 1.0f / sqrtf((float)r.key_dim);
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *row = s.qkv + t * s.qkv_stride;
    // One loop for each: a choice within one was made by the first lane alone (GCC 12, AVX-512).
    for (int64_t i = 0; i < padded; i += 16) {
      const Floats step = softplus(load(row + steps + i) + load(r.step_bias + i));
      store(row + steps + i, min(splat(r.step_most), max(splat(r.step_least), step)));
    }
    if (w.mixer == DELTA) gates_of(row + strengths, padded, SIGMOID);
    else memcpy(row + strengths, row + steps, padded * sizeof(float));
    for (int64_t i = 0; i < padded; i += 16) {
      store(row + steps + i, exp(splat(0.0f) - exp(load(r.decay_log + i)) * load(row + steps + i)));
    }
    for (int h = 0; w.mixer == DELTA && h < r.key_heads; h++) {
      of_length_one(row + h * r.key_dim, r.key_dim, factor);
      of_length_one(row + keys_at(w) + h * r.key_dim, r.key_dim, 1.0f);
    }
  }
}

// Values of a memory that a thread takes at once: with all its keys they stay in the nearest cache.
constexpr int BLOCK_VALUES = 32;
static inline int blocks_of(const Recurrent &r) { return (r.value_dim + BLOCK_VALUES - 1) / BLOCK_VALUES; }

// A memory's first N · 16 values from `at` on, through all tokens of a run. The last 16 are `lanes`.
template <int N, bool CORRECTS>
static void remember(const Step &s, const LayerWeights &w, int layer, const Run &run, int head, float *memory, int64_t stride, int at,
                     int lanes) {
  const Recurrent &r = w.recurrent;
  const int keys = r.key_dim, key_head = r.by_turns ? head % r.key_heads : head / (r.heads / r.key_heads);
  const int64_t steps = part_at(w, 4), strengths = part_at(w, 5), first_value = values_at(w) + (int64_t)head * r.value_dim + at;
  for (int64_t t = run.first; t < run.first + run.count; t++) {
    const float *row = s.qkv + t * s.qkv_stride;
    const float *q = row + key_head * keys, *k = row + keys_at(w) + key_head * keys;
    const Floats decay = splat(row[steps + head]), strength = splat(row[strengths + head]);
    if (t + 1 < run.first + run.count) {
      for (int i = 0; i < keys; i += 16) __builtin_prefetch(q + s.qkv_stride + i), __builtin_prefetch(k + s.qkv_stride + i);
      for (int n = 0; n < N; n++) __builtin_prefetch(row + s.qkv_stride + first_value + 16 * n);
      __builtin_prefetch(row + s.qkv_stride + steps + head), __builtin_prefetch(row + s.qkv_stride + strengths + head);
    }
    Floats value[N], written[N], read[N];
    for (int n = 0; n < N; n++) {
      value[n] = load_part(row + first_value + 16 * n, n + 1 < N ? 16 : lanes);
      written[n] = value[n], read[n] = splat(0.0f);
    }
    if (CORRECTS) {
      Floats even[N], odd[N];
      for (int n = 0; n < N; n++) even[n] = odd[n] = splat(0.0f);
      int i = 0;
      for (; i + 1 < keys; i += 2) {
        for (int n = 0; n < N; n++) {
          even[n] = fma(splat(k[i]), load(memory + i * stride + 16 * n), even[n]);
          odd[n] = fma(splat(k[i + 1]), load(memory + (i + 1) * stride + 16 * n), odd[n]);
        }
      }
      for (int n = 0; i < keys && n < N; n++) even[n] = fma(splat(k[i]), load(memory + i * stride + 16 * n), even[n]);
      for (int n = 0; n < N; n++) written[n] = value[n] - decay * (even[n] + odd[n]);
    }
    for (int n = 0; n < N; n++) written[n] = written[n] * strength;
    // Two sums each: one would wait for every addition to end before the next.
    Floats odd[N];
    for (int n = 0; n < N; n++) odd[n] = splat(0.0f);
    const auto renew = [&](int i, Floats *sums) {
      for (int n = 0; n < N; n++) {
        float *place = memory + i * stride + 16 * n;
        const Floats now = fma(splat(k[i]), written[n], decay * load(place));
        store(place, now);
        sums[n] = fma(splat(q[i]), now, sums[n]);
      }
    };
    int i = 0;
    for (; i + 1 < keys; i += 2) renew(i, read), renew(i + 1, odd);
    if (i < keys) renew(i, read);
    for (int n = 0; n < N; n++) read[n] = read[n] + odd[n];
    float *to = s.gathered + t * s.gathered_stride + (int64_t)head * r.value_dim + at;
    for (int n = 0; n < N; n++) {
      if (r.skip) read[n] = fma(splat(r.skip[head]), value[n], read[n]);
      store_part(to + 16 * n, read[n], n + 1 < N ? 16 : lanes);
    }
    const int blocks = blocks_of(r);
    if (float *shown = shown_state(s, layer, t, (int64_t)r.heads * blocks)) {
      float squares = 0.0f;
      for (int i = 0; i < keys; i++) squares += sum_of_squares(memory + i * stride, 16 * N, 0.0f);
      shown[head * blocks + at / BLOCK_VALUES] = squares;
    }
  }
}

// Rows of a memory are a power of two apart, so that they drive each other out of a cache. From so many
// tokens on a block of it is copied, where it has at most so many keys.
constexpr int COPIED_FROM = 4, MOST_COPIED = 256;
static void copy_rows(const float *from, int64_t from_stride, float *to, int64_t to_stride, int rows, int values) {
  for (int i = 0; i < rows; i++) {
    for (int n = 0; n < values; n += 16) store(to + i * to_stride + n, load(from + i * from_stride + n));
  }
}

// next: the next unit of work.
static void remember_all(const Step &s, const Team &team, const LayerWeights &w, int layer, int32_t *next) {
  const Recurrent &r = w.recurrent;
  const int blocks = blocks_of(r), total = s.run_count * r.heads * blocks;
  const int64_t stride = up(r.value_dim, 16);
  for (int unit = Team::take(next); unit < total; unit = Team::take(next)) {
    const Run &run = s.runs[unit / (r.heads * blocks)];
    const int head = unit / blocks % r.heads, at = unit % blocks * BLOCK_VALUES;
    const int64_t place = (int64_t)slot_of(*s.call, run.row) * r.heads + head;
    float *memory = (float *)s.call->memory[layer] + place * r.key_dim * stride + at;
    const int left = r.value_dim - at, values = left > 16 ? 32 : 16;
    const bool copied = run.count >= COPIED_FROM && r.key_dim <= MOST_COPIED;
    float copy[MOST_COPIED * BLOCK_VALUES], *const here = copied ? copy : memory;
    const int64_t apart = copied ? values : stride;
    if (copied) copy_rows(memory, stride, copy, values, r.key_dim, values);
    const auto go = [&](auto corrects) {
      if (left > 16) remember<2, corrects.value>(s, w, layer, run, head, here, apart, at, left < 32 ? left - 16 : 16);
      else remember<1, corrects.value>(s, w, layer, run, head, here, apart, at, left);
    };
    if (w.mixer == DELTA) go(Number<1>{});
    else go(Number<0>{});
    if (copied) copy_rows(copy, values, memory, stride, r.key_dim, values);
  }
}

// gathered = norm(gathered) · silu(gate), or norm(gathered · silu(gate)), group by group.
static void norm_memories(const Step &s, const Team &team, const LayerWeights &w) {
  const Recurrent &r = w.recurrent;
  const int size = r.norm.weight ? r.norm_size : w.gathered, groups = w.gathered / size;
  const Range range = part_of((int64_t)s.call->count * groups, team);
  const auto gate = [&](float *x, const float *gates) {
    for (int i = 0; i < size; i += 16) {
      const int lanes = size - i < 16 ? size - i : 16;
      const Floats g = load_part(gates + i, lanes);
      store_part(x + i, load_part(x + i, lanes) * (g * sigmoid(g)), lanes);
    }
  };
  for (int64_t at = range.first; at < range.end; at++) {
    const int64_t t = at / groups, first = at % groups * size;
    float *x = s.gathered + t * s.gathered_stride + first;
    const float *gates = s.qkv + t * s.qkv_stride + part_at(w, 3) + first;
    if (r.gate_first || !r.norm.weight) gate(x, gates);
    if (!r.norm.weight) continue;
    Norm own = r.norm;
    if (!r.norm_shared) own.weight += first;
    normalise(x, x, size, own, false, r.eps);
    if (!r.gate_first) gate(x, gates);
  }
}

// gathered = what a mixer with a state makes of what tokens were projected to.
static void carry_on(const Step &s, const Team &team, const LayerWeights &w, int layer) {
  int32_t *next = s.next + layer + (&w == &s.model->layer[layer] ? 0 : s.model->layers);
  filter_all(s, team, w, layer);
  team.wait();
  if (w.mixer == SHORT_CONV) return;
  prepare_memories(s, team, w);
  team.wait();
  remember_all(s, team, w, layer, next);
  team.wait();
  norm_memories(s, team, w);
  team.wait();
}
