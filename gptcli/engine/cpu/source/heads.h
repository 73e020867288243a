// Queries, keys and values of one token, before attention.
#pragma once

// query_norm(q): over each head with one weight or a weight each, or over all heads together.
static inline void normalise_heads(const Model &m, float *x, int heads, int d, Norm norm) {
  if (!norm.weight) return;
  if (m.norm_over_heads == ALL_HEADS) return normalise(x, x, heads * d, norm, m.head_layernorm, m.head_eps);
  for (int h = 0; h < heads; h++) {
    Norm own = norm;
    if (m.norm_over_heads == EACH_HEAD) {
      own.weight += h * d;
      if (own.bias) own.bias += h * d;
    }
    normalise(x + h * d, x + h * d, d, own, m.head_layernorm, m.head_eps);
  }
}

// rope.rotate: (first · cos - second · sin, second · cos + first · sin), for each pair.
static inline void rotate(float *x, const float *cos, const float *sin, int dim, bool interleaved) {
  const int half = dim / 2;
  float *first = x, *second = interleaved ? x + 1 : x + half;
  if (interleaved) {
    for (int i = 0; i < half; i++) {
      const float a = first[2 * i], b = second[2 * i];
      first[2 * i] = a * cos[i] - b * sin[i];
      second[2 * i] = b * cos[i] + a * sin[i];
    }
    return;
  }
  for (int i = 0; i < half; i += 16) {
    const int n = half - i < 16 ? half - i : 16;
    const Floats a = load_part(first + i, n), b = load_part(second + i, n);
    const Floats c = load_part(cos + i, n), s = load_part(sin + i, n);
    store_part(first + i, a * c - b * s, n);
    store_part(second + i, b * c + a * s, n);
  }
}

// values[row, h, position] = x[h], for all heads; so are latents kept in place of keys.
template <class T>
static inline void keep_value(const Call &c, const LayerWeights &w, T *cache, int token, const float *x) {
  const int d = w.head_dim;
  for (int h = 0; h < w.kv_heads; h++, x += d) rounded_to(cache + cached_at(c, w, c.rows[token], h, c.positions[token], d), x, d);
}

// The same for keys, a lane of the position's key group.
template <class T>
static inline void keep_key(const Call &c, const LayerWeights &w, T *cache, int token, const float *x) {
  const int d = w.head_dim, position = c.positions[token], lane = position % 16;
  for (int h = 0; h < w.kv_heads; h++, x += d) {
    T *group = cache + cached_at(c, w, c.rows[token], h, position - lane, d), some[16];
    for (int i = 0; i < d; i += 16) {
      const int n = d - i < 16 ? d - i : 16;
      rounded_to(some, x + i, n);
      for (int j = 0; j < n; j++) group[key_at(group, i + j, lane, d)] = some[j];
    }
  }
}

// Query heads, or key heads, normed and rotated, whichever comes first.
static inline void turn_heads(const Model &m, const LayerWeights &w, float *x, int heads, Norm norm, int position) {
  if (!m.norm_after_rope) normalise_heads(m, x, heads, w.head_dim, norm);
  const int64_t angles = (int64_t)position * (w.rope_dim / 2);
  for (int h = 0; w.cos && h < heads; h++) {
    rotate(x + h * w.head_dim, w.cos + angles, w.sin + angles, w.rope_dim, w.interleaved);
  }
  if (m.norm_after_rope) normalise_heads(m, x, heads, w.head_dim, norm);
}

// values = v, or what keys are projected to; normed without a weight where the model does so
static inline void make_values(const Model &m, const LayerWeights &w, const float *k, float *v) {
  const int d = w.head_dim;
  if (w.values_are_keys) memcpy(v, k, w.kv_heads * d * sizeof(float));
  for (int h = 0; m.value_eps != 0.0f && h < w.kv_heads; h++) normalise(v + h * d, v + h * d, d, Norm{}, false, m.value_eps);
}

// q *= 1 + scale * log(1 + (position + first) // length)
static inline void sharpen(const LayerWeights &w, int position, float *q) {
  const float by = 1.0f + w.sharpened_scale * logf(1.0f + (float)((position + w.sharpened_first) / w.sharpened_length));
  for (int i = 0; i < w.heads * w.head_dim; i++) q[i] *= by;
}

// q = rotate(query_norm(q)); keys.append(rotate(key_norm(k))); values.append(v); or rotated first. A
// layer that meets the keys and values of another has queries only.
static void place_heads(const Step &s, const Team &team, int layer) {
  const Model &m = *s.model;
  const LayerWeights &w = m.layer[layer];
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    const int position = s.call->positions[t];
    float *q = s.qkv + t * s.qkv_stride, *k = q + keys_at(w), *v = q + values_at(w);
    turn_heads(m, w, q, w.heads, w.query_norm, position);
    if (w.sharpened_length) sharpen(w, position, q);
    const bool codes = s.call->cache_kind == CACHE_INT8;
    for (int h = 0; codes && h < w.heads; h++) rotate_features(q + h * w.head_dim, w.head_dim);
    if (w.cache != layer) continue;
    make_values(m, w, k, v);
    turn_heads(m, w, k, w.kv_heads, w.key_norm, position);
    for (int h = 0; codes && h < w.kv_heads; h++) rotate_features(k + h * w.head_dim, w.head_dim);
    as_cached(s.call->cache_kind, [&](auto number) {
      using T = decltype(number);
      keep_key(*s.call, w, (T *)s.call->kept[layer].keys, (int)t, k);
      keep_value(*s.call, w, (T *)s.call->kept[layer].values, (int)t, v);
    });
  }
}
