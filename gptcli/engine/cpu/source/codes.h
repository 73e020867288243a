// Keys and values as whole numbers, of which a head's of a token share a scale: keys of 10 bits, within
// ±511, and values of 8, within ±127.
//
// In memory a group of 16 positions is its 16 scales, float32, then codes. Of keys these are the upper
// 8 bits, for each pair of features 16 × (even, odd), and then the lower two, those of four such pairs in
// as many bytes; of values for each pair of positions (even, odd) of each feature. Features are as many as
// head_stride says, those that a head does not have zeros.
//
// Keys, and the queries that meet them, are rotated before: a few features of keys are far larger than
// the others, and would leave these few codes. Also so, 8 bits of keys cost several times what those of
// values do: what is wrong in a score is so before its exponential.
//
// Queries and shares meet codes as 16-bit numbers, whose products are summed up exactly: these sums are
// the same in whichever order, and below 2^31.
#pragma once

constexpr int GROUP = 16, SCALE_BYTES = 4;
constexpr float MOST_KEY = 511.0f, MOST_VALUE = 127.0f, MOST_WORD = 32767.0f;

// x = H x / √n, block by block of n features, the largest power of two that head_dim is a multiple of; H
// is Hadamard's matrix: this is its own inverse, and no product of two vectors changes by it.
static inline void rotate_features(float *x, int head_dim) {
  const int block = head_dim & -head_dim;
  const float by = 1.0f / sqrtf((float)block);
  for (float *end = x + head_dim; x < end; x += block) {
    for (int half = 1; half < block; half *= 2) {
      for (int i = 0; i < block; i += 2 * half) {
        for (int j = i; j < i + half; j++) {
          const float one = x[j], other = x[j + half];
          x[j] = one + other, x[j + half] = one - other;
        }
      }
    }
    for (int i = 0; i < block; i++) x[i] *= by;
  }
}

// How n numbers are rounded to codes within ±most: round(x · inverse), each meaning scale.
struct Rounding { float scale, inverse; };
static inline Rounding rounding_of(const float *x, int64_t n, float most) {
  const Floats zero = splat(0.0f);
  Floats high = zero, none = zero;
  for (int64_t i = 0; i < n; i += 16) {
    const Floats some = load_part(x + i, n - i < 16 ? (int)(n - i) : 16);
    high = max(high, max(some, zero - some)), none = fma(some, zero, none);
  }
  const float largest = highest(high);
  // The second term is 0, or not a number where any of x is none: that must not get lost.
  return {largest / most + sum(none), largest > 1e-30f ? most / largest : 0.0f};
}

// The same of numbers that are padded to a multiple of 16; the scale.
static inline float rounded_words(int16_t *to, const float *x, int64_t n, float most) {
  const Rounding by = rounding_of(x, n, most);
  for (int64_t i = 0; i < n; i += 16) store_words(to + i, rounded(load(x + i) * splat(by.inverse)));
  return by.scale;
}

// What queries of so many features are rounded to, so that their sums with codes stay below 2^31.
static inline float most_of_queries(int64_t features) {
  const float most = floorf(2.1e9f / (MOST_KEY * (float)features));
  return most < MOST_WORD ? most : MOST_WORD;
}

// A head's numbers as codes within ±most: code i goes to keep(i, …), with zeros up to what is kept; their scale.
template <class Keep>
static inline float as_codes(const float *x, int d, float most, Keep keep) {
  const Rounding by = rounding_of(x, d, most);
  for (int i = 0; i < d; i += 16) {
    int16_t words[16];
    store_words(words, rounded(load_part(x + i, d - i < 16 ? d - i : 16) * splat(by.inverse)));
    for (int j = 0; j < 16; j++) keep(i + j, words[j]);
  }
  return by.scale;
}

static inline void keep_scale(CachedInt8 *group, int lane, float scale) { memcpy(group + lane * SCALE_BYTES, &scale, SCALE_BYTES); }

// See heads.h.
static inline void keep_key(const Call &c, const LayerWeights &w, CachedInt8 *cache, int token, const float *x) {
  const int d = w.head_dim, position = c.positions[token], lane = position % GROUP;
  for (int h = 0; h < w.kv_heads; h++, x += d) {
    CachedInt8 *group = cache + cached_at(c, w, c.rows[token], h, position - lane, key_bytes(w));
    CachedInt8 *to = group + GROUP * SCALE_BYTES, *low = to + GROUP * head_stride(w);
    const float scale = as_codes(x, d, MOST_KEY, [&](int i, int code) {
      const int at = 2 * lane + i % 2, shift = i % 8 / 2 * 2;
      to[i / 2 * 2 * GROUP + at].code = (int8_t)(code >> 2);
      CachedInt8 &four = low[i / 8 * 2 * GROUP + at];
      four.code = (int8_t)((four.code & ~(3 << shift)) | (code & 3) << shift);
    });
    keep_scale(group, lane, scale);
  }
}

static inline void keep_value(const Call &c, const LayerWeights &w, CachedInt8 *cache, int token, const float *x) {
  const int d = w.head_dim, position = c.positions[token], lane = position % GROUP;
  for (int h = 0; h < w.kv_heads; h++, x += d) {
    CachedInt8 *group = cache + cached_at(c, w, c.rows[token], h, position - lane, value_bytes(w));
    CachedInt8 *to = group + GROUP * SCALE_BYTES + lane / 2 * 2 * head_stride(w) + lane % 2;
    keep_scale(group, lane, as_codes(x, d, MOST_VALUE, [&](int i, int code) { to[2 * i].code = (int8_t)code; }));
  }
}

static inline Floats scales_of(const CachedInt8 *group) {
  float scales[GROUP];
  memcpy(scales, group, sizeof scales);
  return load(scales);
}
static inline Ints two_words(const int16_t *words) {
  int32_t both;
  memcpy(&both, words, sizeof both);
  return splat_int(both);
}

#define EACH(i, n) _Pragma("GCC unroll 4") for (int i = 0; i < n; i++)

// Two features of 16 keys: low has the lower bits of four such pairs, this one's at bit 2 · PAIR of each half.
template <int PAIR>
static inline Ints whole_keys(const int8_t *codes, Ints low) {
  if constexpr (PAIR > 0) low = shift_halves_right<2 * PAIR>(low);
  return shift_halves_left<2>(load_codes(codes)) | (low & splat_int(0x00030003));
}

// q kᵀ of Q queries and the keys of a group; scales: of the queries.
template <int Q>
static inline void scores_of_codes(const CachedInt8 *group, int64_t features, const int16_t *queries, int64_t stride,
                                   const float *scales, float *out) {
  Ints total[Q];
  EACH(q, Q) total[q] = splat_int(0);
  const int8_t *codes = &group[GROUP * SCALE_BYTES].code;
  const int8_t *low = codes + GROUP * features;
  for (int64_t i = 0; i < features; i += 8, codes += 8 * GROUP, low += 2 * GROUP) {
    const Ints four = load_codes(low);
    each<4>([&](auto pair) {
      const Ints keys = whole_keys<pair.value>(codes + pair * 2 * GROUP, four);
      EACH(q, Q) total[q] = dot_words(total[q], keys, two_words(queries + q * stride + i + 2 * pair));
    });
  }
  const Floats own = scales_of(group);
  EACH(q, Q) store(out + q * STRETCH, to_floats(total[q]) * splat(scales[q]) * own);
}

// Σ share · value for Q queries; shares are rounded, scales: of these.
template <int Q>
static inline void gather_codes(const LayerWeights &w, const CachedInt8 *values, int count, const int16_t *shares,
                                const float *scales, float *out) {
  const int64_t features = head_stride(w), bytes = GROUP * value_bytes(w), stride = partial_stride(w);
  for (int64_t j = 0; j < features; j += 16) {
    Ints total[Q];
    EACH(q, Q) total[q] = splat_int(0);
    for (int p = 0; p < count; p += GROUP) {
      const int8_t *codes = &values[p / GROUP * bytes + GROUP * SCALE_BYTES + 2 * j].code;
      const int end = count - p < GROUP ? count - p : GROUP;
      for (int i = 0; i < end; i += 2, codes += 2 * features) {
        const Ints pairs = load_codes(codes);
        EACH(q, Q) total[q] = dot_words(total[q], pairs, two_words(shares + q * STRETCH + p + i));
      }
    }
    EACH(q, Q) store(out + q * stride + j, to_floats(total[q]) * splat(scales[q]));
  }
}
#undef EACH

// Queries at once: two registers of sums each, and what they share.
constexpr int CODE_QUERIES = 4;

// use(the first of some queries, how many: as a Number)
template <class Use>
static inline void by_four(int queries, Use use) {
  for (int q = 0; q < queries; q += CODE_QUERIES) {
    const int some = queries - q < CODE_QUERIES ? queries - q : CODE_QUERIES;
    if (some == 1) use(q, Number<1>{});
    else if (some == 2) use(q, Number<2>{});
    else if (some == 3) use(q, Number<3>{});
    else use(q, Number<4>{});
  }
}

// See attention.h.
static inline void meet_keys(const LayerWeights &w, const Scratch &own, const CachedInt8 *keys, const CachedInt8 *values,
                             int count, int queries) {
  const int64_t stride = head_stride(w), bytes = GROUP * key_bytes(w), ahead = GROUP * value_bytes(w);
  for (int p = 0; p < count; p += GROUP) {
    begin_to_load(values + p / GROUP * ahead, ahead);
    by_four(queries, [&](int q, auto some) {
      scores_of_codes<some.value>(keys + p / GROUP * bytes, stride, own.words + q * stride, stride, own.word_scales + q,
                            own.scores + q * STRETCH + p);
    });
  }
}

static inline void gather_stretch(const LayerWeights &w, const Scratch &own, const CachedInt8 *values,
                                  const CachedInt8 *next, int count, int queries, float *out) {
  const int64_t bytes = GROUP * value_bytes(w);
  if (next) begin_to_load(next, STRETCH * key_bytes(w));
  by_four(queries, [&](int first, auto some) {
    float scales[CODE_QUERIES];
    for (int q = first; q < first + some; q++) {
      float *shares = own.scores + q * STRETCH;
      for (int p = 0; p < count; p += GROUP) {
        const Floats scaled = load(shares + p) * scales_of(values + p / GROUP * bytes);
        store(shares + p, only(scaled, 0, count - p < GROUP ? count - p : GROUP, 0.0f));
      }
      scales[q - first] = rounded_words(own.shares + (q - first) * STRETCH, shares, up(count, GROUP), MOST_WORD);
    }
    gather_codes<some.value>(w, values, count, own.shares, scales, out + first * partial_stride(w));
  });
}
