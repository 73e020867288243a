// softmax(q kᵀ · scale) v, 64 positions at a time.
//
// The softmax over each stretch of 64 positions is made by itself, with its highest score and its
// sum, and then merged into that of the stretches before it: always in this order, whether one
// thread takes all stretches of a query or many threads take some, so the numbers are the same.
#pragma once

static inline Floats load_cached(const float *at, int n) { return load_part(at, n); }
static inline Floats load_cached(const CachedBFloat16 *at, int n) { return load_bfloat16_part(&at->bits, n); }
static inline Floats load_cached(const CachedFloat16 *at, int n) { return load_half_part(&at->bits, n); }

// Features i and i + 1 of a key group; see cache.h.
static inline void two_features(const float *group, int i, Floats &one, Floats &other) {
  one = load(group + 16 * i), other = load(group + 16 * i + 16);
}
static inline void two_features(const CachedFloat16 *group, int i, Floats &one, Floats &other) {
  one = load_half(&group[16 * i].bits), other = load_half(&group[16 * i + 16].bits);
}
static inline void two_features(const CachedBFloat16 *group, int i, Floats &one, Floats &other) {
  const Ints both = load_ints(group + 16 * i);
  one = as_floats(shift_left<16>(both)), other = as_floats(both & splat_int((int32_t)0xffff0000));
}
// The last feature, where their number is odd.
static inline Floats last_feature(const float *group, int i) { return load(group + 16 * i); }
static inline Floats last_feature(const CachedFloat16 *group, int i) { return load_half(&group[16 * i].bits); }
static inline Floats last_feature(const CachedBFloat16 *group, int i) { return load_bfloat16(&group[16 * i].bits); }

// A key group as float32.
template <class T>
static inline void widened(const T *group, int d, float *to) {
  Floats one, other;
  for (int i = 0; i + 1 < d; i += 2) {
    two_features(group, i, one, other);
    store(to + 16 * i, one), store(to + 16 * i + 16, other);
  }
  if (d % 2) store(to + 16 * (d - 1), last_feature(group, d - 1));
}

#define EACH(i, n) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

// q kᵀ of Q queries and the 16 keys of a group.
template <int Q, class T>
static inline void scores_of(const T *group, const float *queries, int64_t stride, int d, float *out) {
  Floats even[Q], odd[Q], one, other;
  EACH(q, Q) even[q] = odd[q] = splat(0.0f);
  for (int i = 0; i + 1 < d; i += 2) {
    two_features(group, i, one, other);
    EACH(q, Q) {
      even[q] = fma(one, splat(queries[q * stride + i]), even[q]);
      odd[q] = fma(other, splat(queries[q * stride + i + 1]), odd[q]);
    }
  }
  if (d % 2) {
    const Floats last = last_feature(group, d - 1);
    EACH(q, Q) even[q] = fma(last, splat(queries[q * stride + d - 1]), even[q]);
  }
  EACH(q, Q) store(out + q * STRETCH, even[q] + odd[q]);
}

template <class T>
static inline void all_scores(const T *group, int queries, const float *x, int64_t stride, int d, float *out) {
  for (int q = 0; q < queries; q += QUERIES, x += QUERIES * stride, out += QUERIES * STRETCH) {
    const int some = queries - q < QUERIES ? queries - q : QUERIES;
    if (some == 1) scores_of<1>(group, x, stride, d, out);
    else if (some == 2) scores_of<2>(group, x, stride, d, out);
    else if (some == 3) scores_of<3>(group, x, stride, d, out);
    else scores_of<4>(group, x, stride, d, out);
  }
}

// The same of keys that stand one by one, of which P are loaded at once.
template <int Q, int P, class T>
static inline void scores_of_rows(const T *keys, const float *queries, int64_t stride, int d, float *out) {
  Floats total[Q][P];
  EACH(q, Q) EACH(p, P) total[q][p] = splat(0.0f);
  for (int i = 0; i < d; i += 16) {
    const int lanes = d - i < 16 ? d - i : 16;
    Floats key[P];
    EACH(p, P) key[p] = load_cached(keys + p * d + i, lanes);
    EACH(q, Q) {
      const Floats x = load(queries + q * stride + i);  // padded with zeros
      EACH(p, P) total[q][p] = fma(key[p], x, total[q][p]);
    }
  }
  EACH(q, Q) EACH(p, P) out[q * STRETCH + p] = sum(total[q][p]);
}

template <int Q, class T>
static inline void scores_of_queries(const T *keys, int count, const float *x, int64_t stride, int d, float *out) {
  int p = 0;
  for (; p + CHUNKS <= count; p += CHUNKS) scores_of_rows<Q, CHUNKS>(keys + p * d, x, stride, d, out + p);
  for (; p < count; p++) scores_of_rows<Q, 1>(keys + p * d, x, stride, d, out + p);
}

template <class T>
static inline void all_scores_of_rows(const T *keys, int count, int queries, const float *x, int64_t stride, int d, float *out) {
  for (int q = 0; q < queries; q += QUERIES, x += QUERIES * stride, out += QUERIES * STRETCH) {
    const int some = queries - q < QUERIES ? queries - q : QUERIES;
    if (some == 1) scores_of_queries<1>(keys, count, x, stride, d, out);
    else if (some == 2) scores_of_queries<2>(keys, count, x, stride, d, out);
    else if (some == 3) scores_of_queries<3>(keys, count, x, stride, d, out);
    else scores_of_queries<4>(keys, count, x, stride, d, out);
  }
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
static void attend_queries(const LayerWeights &w, const T *values, int count, const float *shares, float *out) {
  const int d = w.head_dim, n = w.value_dim;
  const int64_t stride = partial_stride(w);
  int j = 0;
  for (; n - j > 16 * (CHUNKS - 1); j += 16 * CHUNKS) {
    const int last = n - j - 16 * (CHUNKS - 1);
    gather_values<Q, CHUNKS>(values + j, count, d, shares, out + j, stride, last < 16 ? last : 16);
  }
  for (; j < n; j += 16) {
    gather_values<Q, 1>(values + j, count, d, shares, out + j, stride, n - j < 16 ? n - j : 16);
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

// Scores of `count` keys; codes.h has this for its own. values: those that are gathered next.
template <class T>
static inline void meet_keys(const LayerWeights &w, const Scratch &own, const T *keys, const T *values, int count, int queries) {
  const int d = w.head_dim;
  const int64_t stride = head_stride(w);
  for (int base = 0; base < count; base += 16) {
    if (!w.latents.rank) begin_to_load(values + (int64_t)base * d, 16 * d);
    const T *group = keys + (int64_t)base * d;
    float *out = own.scores + base;
    if (w.latents.rank) {
      all_scores_of_rows(group, count - base < 16 ? count - base : 16, queries, own.queries, stride, d, out);
      continue;
    }
    if (queries <= QUERIES) {
      all_scores(group, queries, own.queries, stride, d, out);
      continue;
    }
    widened(group, d, own.columns);
    all_scores(own.columns, queries, own.queries, stride, d, out);
  }
}

// out: for each query Σ share · value, of `count`; the same. next: the keys that are met next, or null.
template <class T>
static inline void gather_stretch(const LayerWeights &w, const Scratch &own, const T *values, const T *next, int count,
                                  int queries, float *out) {
  if (next) begin_to_load(next, (int64_t)STRETCH * w.head_dim);
  for (int q = 0; q < queries; q += QUERIES, out += QUERIES * partial_stride(w)) {
    const int some = queries - q < QUERIES ? queries - q : QUERIES;
    const float *shares = own.scores + q * STRETCH;
    if (some == 1) attend_queries<1>(w, values, count, shares, out);
    else if (some == 2) attend_queries<2>(w, values, count, shares, out);
    else if (some == 3) attend_queries<3>(w, values, count, shares, out);
    else attend_queries<4>(w, values, count, shares, out);
  }
}

// Those of an item's queries that share a key/value head, for one stretch.
struct Unit {
  int layer, kv_head, stretch;
  Item item;
};

// partial: for each query (highest, sum, …, Σ e^(score - highest) · value from index 16 on).
template <class T>
static void attend_stretch(const Step &s, const Scratch &own, const Unit &u, float *partial) {
  const Model &m = *s.model;
  const LayerWeights &w = m.layer[u.layer];
  const int shared = sharing(w), queries = u.item.count * shared, begin = u.stretch * STRETCH;
  const int64_t step = partial_stride(w);
  const int last = u.item.position + u.item.count;
  const int end = begin + STRETCH < last ? begin + STRETCH : last;
  const Kept &kept = s.call->kept[w.cache];
  const auto from = [&](const void *cache, int64_t each, int position) {
    return (const T *)cache + cached_at(*s.call, w, u.item.row, u.kv_head, position, each);
  };
  const bool codes = SAME<T, CachedInt8>;
  const int64_t key = codes ? key_bytes(w) : w.head_dim, value = codes ? value_bytes(w) : w.head_dim;
  const T *keys = from(kept.keys, key, begin), *next = nullptr;
  const T *values = w.latents.rank ? keys : from(kept.values, value, begin);
  if (end < last) next = from(kept.keys, key, end);
  meet_keys(w, own, keys, values, end - begin, queries);
  for (int q = 0; q < queries; q++) {
    const int head = u.kv_head * shared + q % shared, position = u.item.position + q / shared;
    const float slope = w.slopes ? w.slopes[head] : 0.0f;
    const Seen seen = seen_from(position, w);
    softmax_of(own.scores + q * STRETCH, begin, end, seen, m.attention_softcap, slope, position, partial + q * step);
  }
  gather_stretch(w, own, values, next, end - begin, queries, partial + 16);
}
