// softmax(q kᵀ · scale) v, 64 positions at a time.
//
// The softmax over each stretch of 64 positions is made by itself, with its highest score and its
// sum, and then merged into that of the stretches before it: always in this order, whether one
// thread takes all stretches of a query or many threads take some, so the numbers are the same.
#pragma once

// Which positions a query sees, first ≤ p < end.
struct Seen { int first, end; };
static inline Seen seen_from(int position, int window) {
  return {window && position + 1 > window ? position + 1 - window : 0, position + 1};
}

static inline Floats load_cached(const void *cache, int64_t at, int n, bool bfloat16) {
  return bfloat16 ? load_bfloat16_part((const uint16_t *)cache + at, n) : load_part((const float *)cache + at, n);
}

// to[d][i] = cache[i][d] for 16 positions, those from `count` on 0; d is padded to 16.
template <bool BFLOAT16>
static inline void columns_of(const void *cache, int64_t at, int count, int d, float *to) {
  for (int j = 0; j < d; j += 16) {
    const int lanes = d - j < 16 ? d - j : 16;
    Floats rows[16];
    for (int i = 0; i < 16; i++) {
      rows[i] = i < count ? load_cached(cache, at + (int64_t)i * d + j, lanes, BFLOAT16) : splat(0.0f);
    }
    transpose(rows, to + 16 * j);
  }
}

// q kᵀ of Q queries and 16 positions.
template <int Q>
static inline void scores_of(const float *columns, const float *queries, int64_t stride, int d, float *out) {
  Floats even[Q], odd[Q];
  for (int q = 0; q < Q; q++) even[q] = odd[q] = splat(0.0f);
  for (int i = 0; i < d; i += 2) {
    const Floats a = load(columns + 16 * i), b = load(columns + 16 * i + 16);
    for (int q = 0; q < Q; q++) {
      even[q] = fma(a, splat(queries[q * stride + i]), even[q]);
      odd[q] = fma(b, splat(queries[q * stride + i + 1]), odd[q]);
    }
  }
  for (int q = 0; q < Q; q++) store(out + q * STRETCH, even[q] + odd[q]);
}

// shares @ values for Q queries and C times 16 features.
template <int Q, int C, bool BFLOAT16>
static inline void gather_values(const void *cache, int64_t at, int count, int d, const float *shares,
                                 float *out, int64_t stride, int lanes) {
  Floats total[Q][C];
  for (int q = 0; q < Q; q++) for (int c = 0; c < C; c++) total[q][c] = splat(0.0f);
  for (int p = 0; p < count; p++) {
    for (int c = 0; c < C; c++) {
      const Floats v = load_cached(cache, at + (int64_t)p * d + 16 * c, c + 1 < C ? 16 : lanes, BFLOAT16);
      for (int q = 0; q < Q; q++) total[q][c] = fma(v, splat(shares[q * STRETCH + p]), total[q][c]);
    }
  }
  for (int q = 0; q < Q; q++) for (int c = 0; c < C; c++) store(out + q * stride + 16 * c, total[q][c]);
}

template <int Q, bool BFLOAT16>
static void attend_queries(const Step &s, const void *values, int64_t at, int count, const float *shares, float *out) {
  const int d = s.model->head_dim;
  int j = 0;
  for (; d - j > 16 * (CHUNKS - 1); j += 16 * CHUNKS) {
    const int last = d - j - 16 * (CHUNKS - 1);
    gather_values<Q, CHUNKS, BFLOAT16>(values, at + j, count, d, shares, out + j, s.partial_stride, last < 16 ? last : 16);
  }
  for (; j < d; j += 16) {
    gather_values<Q, 1, BFLOAT16>(values, at + j, count, d, shares, out + j, s.partial_stride, d - j < 16 ? d - j : 16);
  }
}

// A group of an item's queries, for one key/value head and one stretch. Query g · tokens + t …
struct Unit {
  int layer, kv_head, stretch;
  Item item;
};

// partial: for each query (highest, sum, …, Σ e^(score - highest) · value from index 16 on).
template <bool BFLOAT16>
static void attend_stretch(const Step &s, const Scratch &own, const Unit &u, float *partial) {
  const Model &m = *s.model;
  const int d = m.head_dim, group = m.heads / m.kv_heads, queries = u.item.count * group;
  const int window = m.layer[u.layer].window, begin = u.stretch * STRETCH;
  const int last = u.item.position + u.item.count;
  const int end = begin + STRETCH < last ? begin + STRETCH : last;
  const int64_t at = (((int64_t)u.item.row * m.kv_heads + u.kv_head) * s.call->capacity + begin) * d;
  const void *keys = s.call->keys[u.layer], *values = s.call->values[u.layer];
  for (int base = begin; base < end; base += 16) {
    columns_of<BFLOAT16>(keys, at + (int64_t)(base - begin) * d, end - base < 16 ? end - base : 16, d, own.columns);
    float *out = own.scores + base - begin;
    for (int q = 0; q < queries; q += QUERIES) {
      const float *x = own.queries + q * s.head_stride;
      const int some = queries - q < QUERIES ? queries - q : QUERIES;
      const int even = (int)up(d, 2);
      if (some == 1) scores_of<1>(own.columns, x, s.head_stride, even, out + q * STRETCH);
      else if (some == 2) scores_of<2>(own.columns, x, s.head_stride, even, out + q * STRETCH);
      else if (some == 3) scores_of<3>(own.columns, x, s.head_stride, even, out + q * STRETCH);
      else scores_of<4>(own.columns, x, s.head_stride, even, out + q * STRETCH);
    }
  }
  for (int q = 0; q < queries; q++) {
    const int head = u.kv_head * group + q % group, position = u.item.position + q / group;
    const Seen seen = seen_from(position, window);
    float *scores = own.scores + q * STRETCH, *to = partial + q * s.partial_stride;
    Floats most = splat(-INFINITY);
    for (int base = begin; base < end; base += 16) {
      Floats x = softcapped(load(scores + base - begin), m.attention_softcap);
      if (m.slopes) {  // scores - slope · distance
        x = fma(splat(m.slopes[head]), lane_numbers() + splat((float)(base - position)), x);
      }
      const int first = seen.first - base, stop = seen.end - base;
      x = only(x, first < 0 ? 0 : first > 16 ? 16 : first, stop < 0 ? 0 : stop > 16 ? 16 : stop, -INFINITY);
      store(scores + base - begin, x);
      most = max(most, x);
    }
    to[0] = highest(most);
    Floats total = splat(0.0f);
    for (int base = begin; base < end; base += 16) {
      const int first = seen.first - base, stop = seen.end - base;
      Floats x = exp(load(scores + base - begin) - splat(to[0]));
      x = only(x, first < 0 ? 0 : first > 16 ? 16 : first, stop < 0 ? 0 : stop > 16 ? 16 : stop, 0.0f);
      store(scores + base - begin, x);
      total = total + x;
    }
    to[1] = sum(total);
  }
  for (int q = 0; q < queries; q += QUERIES) {
    const int some = queries - q < QUERIES ? queries - q : QUERIES;
    const float *shares = own.scores + q * STRETCH;
    float *out = partial + q * s.partial_stride + 16;
    if (some == 1) attend_queries<1, BFLOAT16>(s, values, at, end - begin, shares, out);
    else if (some == 2) attend_queries<2, BFLOAT16>(s, values, at, end - begin, shares, out);
    else if (some == 3) attend_queries<3, BFLOAT16>(s, values, at, end - begin, shares, out);
    else attend_queries<4, BFLOAT16>(s, values, at, end - begin, shares, out);
  }
}
