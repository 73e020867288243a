// Partial softmaxes become one: each is (highest, sum, …, values from index 16 on).
#pragma once

static inline float exp_of(float x) {
  float out[16];
  store(out, exp(splat(x)));
  return out[0];
}

static inline void forget(const LayerWeights &w, float *into) {
  memset(into, 0, partial_stride(w) * sizeof(float));
  into[0] = -INFINITY;
}

// What saw nothing changes nothing.
static inline void merge(const LayerWeights &w, float *into, const float *other) {
  if (other[0] == -INFINITY) return;
  const float most = other[0] > into[0] ? other[0] : into[0];
  const float old = into[0] == -INFINITY ? 0.0f : exp_of(into[0] - most), fresh = exp_of(other[0] - most);
  into[0] = most;
  into[1] = into[1] * old + other[1] * fresh;
  for (int64_t i = 16; i < partial_stride(w); i += 16) {
    store(into + i, fma(load(into + i), splat(old), load(other + i) * splat(fresh)));
  }
}

// gathered[token, head] = values / sum; a sink is a score more, which has no value. What is gathered of
// latents is read next: see latents.h.
static inline void finish(const Step &s, const LayerWeights &w, const float *from, int64_t token, int head) {
  float sum = from[1], scale = 1.0f;
  if (w.sinks) {
    const float sink = w.sinks[head], most = sink > from[0] ? sink : from[0];
    scale = exp_of(from[0] - most);
    sum = sum * scale + exp_of(sink - most);
  }
  float *to = s.gathered + token * s.gathered_stride + (int64_t)head * w.value_dim;
  if (w.latents.rank) to = s.common.values + (head * s.call->count + token) * up(w.value_dim, ROW_MULTIPLE);
  for (int i = 0; i < w.value_dim; i += 16) {
    const int lanes = w.value_dim - i < 16 ? w.value_dim - i : 16;
    store_part(to + i, load(from + 16 + i) * splat(scale / sum), lanes);
  }
}
