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

// Keys and values are float32, or bfloat16 in uint16_t.
static inline Floats load_cached(const float *at, int n) { return load_part(at, n); }
static inline Floats load_cached(const uint16_t *at, int n) { return load_bfloat16_part(at, n); }

// Ask for n numbers ahead of time: the processor foresees no jump from keys to values.
template <class T>
static inline void expect(const T *from, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / (int64_t)sizeof(T)) __builtin_prefetch(from + i);
}

// to[d][i] = cache[i][d] for 16 positions, those from `count` on 0; d is padded to 16.
static inline void columns_of(const float *cache, int count, int d, float *to) {
  for (int j = 0; j < d; j += 16) {
    const int lanes = d - j < 16 ? d - j : 16;
    Floats rows[16];
    for (int i = 0; i < 16; i++) rows[i] = i < count ? load_part(cache + i * d + j, lanes) : splat(0.0f);
    transpose(rows, to + 16 * j);
  }
}

// The same from bfloat16: two neighbours are moved as one, and taken apart afterwards.
static inline void columns_of(const uint16_t *cache, int count, int d, float *to) {
  float pairs[256];
  for (int j = 0; j < d; j += 32) {
    Floats rows[16];
    if (count == 16 && d - j >= 32) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) rows[i] = as_floats(load_ints(cache + i * d + j));
    } else {
      for (int i = 0; i < 16; i++) {
        uint16_t row[32] = {};
        for (int k = 0; i < count && k < 32 && k < d - j; k++) row[k] = cache[i * d + j + k];
        rows[i] = as_floats(load_ints(row));
      }
    }
    transpose(rows, pairs);
    for (int k = 0; k < 16 && j + 2 * k < up(d, 16); k++) {
      const Ints both = load_ints(pairs + 16 * k);
      store(to + 16 * (j + 2 * k), as_floats(shift_left<16>(both)));
      store(to + 16 * (j + 2 * k + 1), as_floats(both & splat_int((int32_t)0xffff0000)));
    }
  }
}

#define EACH(i, n) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

// q kᵀ of Q queries and 16 positions.
template <int Q>
static inline void scores_of(const float *columns, const float *queries, int64_t stride, int d, float *out) {
  Floats even[Q], odd[Q];
  EACH(q, Q) even[q] = odd[q] = splat(0.0f);
  for (int i = 0; i < d; i += 2) {
    const Floats a = load(columns + 16 * i), b = load(columns + 16 * i + 16);
    EACH(q, Q) {
      even[q] = fma(a, splat(queries[q * stride + i]), even[q]);
      odd[q] = fma(b, splat(queries[q * stride + i + 1]), odd[q]);
    }
  }
  EACH(q, Q) store(out + q * STRETCH, even[q] + odd[q]);
}

// shares @ values for Q queries and C times 16 features, of the last 16 only `lanes`.
template <int Q, int C, class T>
static inline void gather_values(const T *cache, int count, int d, const float *shares, float *out,
                                 int64_t stride, int lanes) {
  Floats total[Q][C];
  EACH(q, Q) EACH(c, C) total[q][c] = splat(0.0f);
  for (int p = 0; p < count; p++) {
    EACH(c, C) {
      const Floats v = load_cached(cache + p * d + 16 * c, c + 1 < C ? 16 : lanes);
      EACH(q, Q) total[q][c] = fma(v, splat(shares[q * STRETCH + p]), total[q][c]);
    }
  }
  EACH(q, Q) EACH(c, C) store(out + q * stride + 16 * c, total[q][c]);
}
#undef EACH

template <int Q, class T>
static void attend_queries(const Step &s, const T *values, int count, const float *shares, float *out) {
  const int d = s.model->head_dim;
  int j = 0;
  for (; d - j > 16 * (CHUNKS - 1); j += 16 * CHUNKS) {
    const int last = d - j - 16 * (CHUNKS - 1);
    gather_values<Q, CHUNKS>(values + j, count, d, shares, out + j, s.partial_stride, last < 16 ? last : 16);
  }
  for (; j < d; j += 16) {
    gather_values<Q, 1>(values + j, count, d, shares, out + j, s.partial_stride, d - j < 16 ? d - j : 16);
  }
}

// Scores of positions begin … end - 1 → e^(score - highest), 0 where the query may not look; the
// highest and the sum go to partial[0] and [1].
static inline void softmax_of(float *scores, int begin, int end, Seen seen, float softcap, float slope,
                              int position, float *partial) {
  const auto within = [](int lane) { return lane < 0 ? 0 : lane > 16 ? 16 : lane; };
  Floats most = splat(-INFINITY);
  for (int base = begin; base < end; base += 16) {
    Floats x = softcapped(load(scores + base - begin), softcap);
    // slope · (key - query): a score loses that for each position of distance.
    if (slope != 0.0f) x = fma(splat(slope), lane_numbers() + splat((float)(base - position)), x);
    const int first = within(seen.first - base), stop = within(seen.end - base);
    if (first > 0 || stop < 16) x = only(x, first, stop, -INFINITY);
    store(scores + base - begin, x);
    most = max(most, x);
  }
  partial[0] = highest(most);
  Floats total = splat(0.0f);
  for (int base = begin; base < end; base += 16) {
    const int first = within(seen.first - base), stop = within(seen.end - base);
    Floats x = exp(load(scores + base - begin) - splat(partial[0]));
    if (first > 0 || stop < 16) x = only(x, first, stop, 0.0f);
    store(scores + base - begin, x);
    total = total + x;
  }
  partial[1] = sum(total);
}

// A group of an item's queries, for one key/value head and one stretch. Query g · tokens + t …
struct Unit {
  int layer, kv_head, stretch;
  Item item;
};

// partial: for each query (highest, sum, …, Σ e^(score - highest) · value from index 16 on).
template <class T>
static void attend_stretch(const Step &s, const Scratch &own, const Unit &u, float *partial) {
  const Model &m = *s.model;
  const int d = m.head_dim, group = m.heads / m.kv_heads, queries = u.item.count * group;
  const int window = m.layer[u.layer].window, begin = u.stretch * STRETCH;
  const int last = u.item.position + u.item.count;
  const int end = begin + STRETCH < last ? begin + STRETCH : last;
  const int64_t at = (((int64_t)u.item.row * m.kv_heads + u.kv_head) * s.call->capacity + begin) * d;
  const T *keys = (const T *)s.call->keys[u.layer] + at, *values = (const T *)s.call->values[u.layer] + at;
  for (int base = begin; base < end; base += 16) {
    const int some = end - base < 16 ? end - base : 16;
    expect(values + (base - begin) * d, some * d);
    columns_of(keys + (base - begin) * d, some, d, own.columns);
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
    const float slope = m.slopes ? m.slopes[head] : 0.0f;
    const Seen seen = seen_from(position, window);
    softmax_of(own.scores + q * STRETCH, begin, end, seen, m.attention_softcap, slope, position, partial + q * s.partial_stride);
  }
  if (last > end) expect(keys + STRETCH * d, (last - end < STRETCH ? last - end : STRETCH) * d);
  for (int q = 0; q < queries; q += QUERIES) {
    const int some = queries - q < QUERIES ? queries - q : QUERIES;
    const float *shares = own.scores + q * STRETCH;
    float *out = partial + q * s.partial_stride + 16;
    if (some == 1) attend_queries<1>(s, values, end - begin, shares, out);
    else if (some == 2) attend_queries<2>(s, values, end - begin, shares, out);
    else if (some == 3) attend_queries<3>(s, values, end - begin, shares, out);
    else attend_queries<4>(s, values, end - begin, shares, out);
  }
}
