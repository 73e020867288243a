// Attention over latents (MLA): what makes keys of them comes to queries instead, what makes values
// of them to what is gathered, head by head. What is kept of a token stands position by position.
#pragma once

// The part of rows first … first + 15 that is below `count` and not below 0, where it goes.
static inline void store_rows(float *to, int64_t first, int64_t count, Floats rows) {
  if (first >= 0 && first + 16 <= count) return store(to + first, rows);
  float all[16];
  store(all, rows);
  for (int64_t i = first < 0 ? -first : 0; i < 16 && first + i < count; i++) to[first + i] = all[i];
}

// For each head its rows of a matrix times its rows of a reading, which has those of a head one after
// the other: to[token, head] at `stride` from token to token and `rows` from head to head.
static void product_of_heads(const Step &s, const Team &team, const LayerWeights &w, const Matrix &matrix,
                             const Reading &x, float *to, int64_t stride, int64_t head_stride) {
  const int64_t rows = matrix.rows / w.heads, count = s.call->count;
  const auto first_panel = [&](int64_t head) { return head * rows / 16; };
  const auto end_panel = [&](int64_t head) { return up((head + 1) * rows, 16) / 16; };
  int64_t total = 0;
  for (int h = 0; h < w.heads; h++) total += end_panel(h) - first_panel(h);
  Range all = part_of(total, team);
  for (int h = 0; h < w.heads; h++) {
    const int64_t first = first_panel(h), panels = end_panel(h) - first;
    const Range here = {first + (all.first < 0 ? 0 : all.first), first + (all.end < panels ? all.end : panels)};
    if (here.first < here.end) {
      product(matrix, here, x, s.numbers + h * count, (int)count, s.model->met, [&](int i, int64_t p, const Floats *v) {
        store_rows(to + i * stride + h * head_stride, 16 * p - h * rows, rows, v[0]);
      });
    }
    all.first -= panels, all.end -= panels;
  }
}

// The place of a token's and head's row in a reading of all heads, which the common one is then.
static inline Reading reading_of_heads(const Step &s, int columns) {
  Reading x = s.common;
  x.stride = up(columns, ROW_MULTIPLE);
  return x;
}
static inline int64_t row_of_head(const Step &s, int64_t token, int64_t head) { return head * s.call->count + token; }

// query(norm(query_latent)), where queries are made of latents; where they stand.
static const float *read_queries(const Step &s, const Team &team, const LayerWeights &w) {
  const Latents &l = w.latents;
  if (!l.query_rank) return s.qkv + part_at(w, 4);
  const float *from = s.qkv + part_at(w, 4);
  float *to = s.qkv + part_at(w, 5);
  const int64_t stride = up(l.query_rank, ROW_MULTIPLE);
  const Reading x = made(s, team, s.call->count, stride, [&](Reading &made_of, int64_t row) {
    float *values = made_of.values + row * stride;
    normalise(from + row * s.qkv_stride, values, l.query_rank, l.query_norm, false, l.eps);
    memset(values + l.query_rank, 0, (stride - l.query_rank) * sizeof(float));
    round_row(made_of, row, l.query_rank, needs_of(l.query, s.model->met));
  });
  product(l.query, part_of(panels_of(l.query), team), x, s.numbers, s.call->count, s.model->met,
          [&](int i, int64_t p, const Floats *v) { store(to + i * s.qkv_stride + 16 * p, v[0]); });
  team.wait();
  return to;
}

// queries = [absorb(plain), rotate(turned)]; keys.append([norm(latent), rotate(beside)])
static void place_latents(const Step &s, const Team &team, int layer) {
  const LayerWeights &w = s.model->layer[layer];
  const Latents &l = w.latents;
  const int turned = w.head_dim - l.rank, each = l.plain + turned;
  const float *queries = read_queries(s, team, w);
  const auto turn = [&](float *x, int64_t token) {
    const int64_t angles = (int64_t)s.call->positions[token] * (w.rope_dim / 2);
    if (w.cos) rotate(x, w.cos + angles, w.sin + angles, w.rope_dim, w.interleaved);
  };
  const Reading x = reading_of_heads(s, l.plain);
  const int needs = needs_of(l.absorb, s.model->met);
  const Range rows = part_of((int64_t)s.call->count * w.heads, team);
  for (int64_t row = rows.first; row < rows.end; row++) {
    const int64_t token = row / w.heads, head = row % w.heads, at = row_of_head(s, token, head);
    const float *from = queries + token * s.qkv_stride + head * each;
    float *values = x.values + at * x.stride, *beside = s.qkv + token * s.qkv_stride + head * w.head_dim + l.rank;
    memcpy(values, from, l.plain * sizeof(float));
    memset(values + l.plain, 0, (x.stride - l.plain) * sizeof(float));
    round_row(x, at, l.plain, needs);
    memcpy(beside, from + l.plain, turned * sizeof(float));
    turn(beside, token);
  }
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *key = s.qkv + t * s.qkv_stride + keys_at(w);
    normalise(key, key, l.rank, l.norm, false, l.eps);
    turn(key + l.rank, t);
    as_cached(s.call->cache_kind, [&](auto number) {
      using T = decltype(number);
      keep_value(*s.call, w, (T *)s.call->kept[layer].keys, (int)t, key);
    });
  }
  team.wait();
  product_of_heads(s, team, w, l.absorb, x, s.qkv, s.qkv_stride, w.head_dim);
  team.wait();
}

// gathered = value(latents), of what attention has left as a reading.
static void values_of_latents(const Step &s, const Team &team, const LayerWeights &w) {
  const Latents &l = w.latents;
  const Reading x = reading_of_heads(s, l.rank);
  const int needs = needs_of(l.value, s.model->met);
  const Range rows = part_of((int64_t)s.call->count * w.heads, team);
  for (int64_t row = rows.first; row < rows.end; row++) {
    memset(x.values + row * x.stride + l.rank, 0, (x.stride - l.rank) * sizeof(float));
    round_row(x, row, l.rank, needs);
  }
  team.wait();
  product_of_heads(s, team, w, l.value, x, s.gathered, s.gathered_stride, l.value.rows / w.heads);
  team.wait();
}
