// What codes meet: chunks of 32 columns of some tokens' activations, as bytes, words or floats.
//
// A form has VECTORS, of weights in a chunk; row(x, token), where its numbers are; kept<K, i>(chunk), a
// vector of a kind's weights, which `add` multiplies with what stands at that place of the row; start,
// what a group's sum begins with so that an offset is taken off; MOST<GROUP>, how many tokens meet spans at once.
#pragma once
#include "bits.h"

constexpr int SPAN = 512 / PANELS;  // columns that are unpacked at once, at most

struct Rounded {
  const int32_t *x;
  const float *scales;
  const int32_t *sums;
  const float *sums_of_16, *sums_of_32;
};

template <class X>
static inline Rounded rounded_row(const Reading &from, const X *x, int32_t token) {
  const uint64_t at = (uint64_t)token * (uint64_t)from.stride;
  return {(const int32_t *)(x + at), from.scales + at / 32, from.sums + at / 16, from.sums_of_16 + at / 16, from.sums_of_32 + at / 32};
}

template <int GROUP>
static inline int32_t sum_of(const Rounded &row, int chunk, int g) {
  return GROUP == 16 ? row.sums[2 * chunk + g] : row.sums[2 * chunk] + row.sums[2 * chunk + 1];
}

template <int GROUP, class Row>
static inline float scaled_sum(const Row &row, int chunk, int g) {
  return GROUP == 16 ? row.sums_of_16[2 * chunk + g] : row.sums_of_32[chunk];
}

// What bytes and words share.
struct WholeNumbers {
  using Row = Rounded;
  using Part = Ints;
  // What of a token stands at a place, in all lanes.
  static Ints same(const Row &row, int at) { return in_register(splat_int(row.x[at])); }
  static Floats scaled(Floats scale, const Row &row, int chunk) { return scale * splat(row.scales[chunk]); }
  static Floats finished(Ints part) { return to_floats(part); }
};

struct Bytes : WholeNumbers {
  static constexpr int VECTORS = 8;
  template <int> static constexpr int MOST = MANY_CODES;
  static Row row(const Reading &from, int32_t token) { return rounded_row(from, from.bytes, token); }
  template <class K, int I> static Ints kept(const uint8_t *chunk) { return K::template code<I>(chunk); }
  // WIDE: codes beyond what dot_nibbles takes; dot_bytes takes 128 + BYTE_START off by itself.
  template <bool WIDE, int GROUP>
  static Ints start(const Row &row, int chunk, int g, int offset) {
    return splat_int((WIDE ? 128 + BYTE_START - offset : -offset) * sum_of<GROUP>(row, chunk, g));
  }
  template <bool WIDE> static Ints add(Ints part, Ints weights, Ints x) {
    return WIDE ? dot_bytes(part, weights, x) : dot_nibbles(part, weights, x);
  }
};

struct Words : WholeNumbers {
  static constexpr int VECTORS = 16;
  // More of them leave no registers for what is scaled: a price for each group.
  template <int GROUP> static constexpr int MOST = GROUP == 32 ? MANY_WORDS : MANY_CODES;
  static Row row(const Reading &from, int32_t token) { return rounded_row(from, from.words, token); }
  // With the offset taken off already.
  template <class K, int I> static Ints kept(const uint8_t *chunk) { return minus_words(K::template pair<I>(chunk), K::OFFSET); }
  template <bool, int> static Ints start(const Row &, int, int, int) { return splat_int(0); }
  template <bool> static Ints add(Ints part, Ints weights, Ints x) { return dot_words(part, weights, x); }
};

struct FloatingPoint {
  static constexpr int VECTORS = 32;
  template <int> static constexpr int MOST = MANY_CODES;
  struct Row { const float *x, *sums_of_16, *sums_of_32; };
  using Part = Floats;
  static Row row(const Reading &from, int32_t token) {
    const int64_t at = token * from.stride;
    return {from.values + at, from.sums_of_16 + at / 16, from.sums_of_32 + at / 32};
  }
  template <class K, int I>
  static Ints kept(const uint8_t *chunk) {  // column I, as float32
    constexpr int at = I % 8, where = at < 4 ? 2 * at : 2 * (at - 4) + 1;
    constexpr int vector = 2 * (I / 8) + where / 4, byte = where % 4;
    static_assert(CODE_ORDER[where] == at, "");
    return as_ints(to_floats(of_lanes<8, 8 * byte>(K::template code<vector>(chunk)) + splat_int(-K::OFFSET)));
  }
  template <bool, int> static Floats start(const Row &, int, int, int) { return splat(0.0f); }
  static Floats same(const Row &row, int at) { return in_register(splat(row.x[at])); }
  template <bool> static Floats add(Floats part, Ints weights, Floats x) { return fma(as_floats(weights), x, part); }
  static Floats scaled(Floats scale, const Row &, int) { return scale; }
  static Floats finished(Floats part) { return part; }
};

// Some columns of a panel, unpacked: their weights, and each group's scales and minimums.
template <class Form>
struct Span {
  alignas(64) uint8_t vectors[SPAN / 32 * Form::VECTORS][64];
  alignas(64) float scales[SPAN / 16][16], minimums[SPAN / 16][16];
  void keep(int at, Ints weights) { store_ints(vectors[at], weights); }
};

// totals += 16 rows of each of P spans, which begin at chunk `first` of the row, times T tokens; those of
// the next span are `apart` from them.
template <class Form, int GROUP, bool MINIMUMS, bool WIDE, int P, int T>
APART static void add_spans(const Span<Form> *spans, int offset, int first, int chunks, const Reading &x, const int32_t *which,
                            Floats *totals, int apart) {
  constexpr int GROUPS = 32 / GROUP, EACH = Form::VECTORS / GROUPS;
  typename Form::Row rows[T];
  Floats total[T][P];
  TOKENS(t) {
    rows[t] = Form::row(x, which[t]);
    TIMES(p, P) total[t][p] = totals[p * apart + t];
  }
  for (int c = 0; c < chunks; c++) {
    const int chunk = first + c;
    // Rows stand in the second cache, too many at once for the processor to see that each is read on.
    TOKENS(t) __builtin_prefetch(rows[t].x + (chunk + 2) * Form::VECTORS);
    TIMES(g, GROUPS) {
      typename Form::Part part[T][P];
      TOKENS(t) TIMES(p, P) part[t][p] = Form::template start<WIDE, GROUP>(rows[t], chunk, g, offset);
      const auto meet = [&](int i) __attribute__((always_inline)) {
        Ints weights[P];
        TIMES(p, P) weights[p] = load_ints(spans[p].vectors[c * Form::VECTORS + EACH * g + i]);
        TOKENS(t) {
          const auto x = Form::same(rows[t], chunk * Form::VECTORS + EACH * g + i);
          TIMES(p, P) part[t][p] = Form::template add<WIDE>(part[t][p], weights[p], x);
        }
      };
      // Written out where it is worth the time to compile it.
      if constexpr (P > 1) each<EACH>(meet);
      else TIMES(i, EACH) meet(i);
      TIMES(p, P) {
        const Floats scale = load(spans[p].scales[c * GROUPS + g]);
        if constexpr (MINIMUMS) {
          const Floats minimum = load(spans[p].minimums[c * GROUPS + g]);
          TOKENS(t) total[t][p] = fma(minimum, splat(scaled_sum<GROUP>(rows[t], chunk, g)), total[t][p]);
        }
        TOKENS(t) total[t][p] = fma(Form::finished(part[t][p]), Form::scaled(scale, rows[t], chunk), total[t][p]);
      }
    }
  }
  TOKENS(t) TIMES(p, P) totals[p * apart + t] = total[t][p];
}
