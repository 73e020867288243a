// What all kinds of weights share. Rows of a matrix go in panels of 16, a lane each; a panel holds
// all its columns, so that a thread reads its panels from first to last, as memory likes best.
//
// A kind is a struct with
//
//   NAME                 as abi.Kind has it
//   STEP, STEP_BYTES     so many columns of a panel, padded with what adds nothing, and their bytes
//   needs(met)           what its products need of activations, see activations.h
//   dots<P>(met, …)      16 rows of each of P panels, `next` bytes apart, times at most MOST_TOKENS
//                        tokens: out[p · count + i]
//   read(panel, …)       the numbers of one lane of a panel, as float32
//   put(x, …)            packs a row of floats, padded with zeros to whole steps, into a lane
//   keeps<Form>          whether keep(row, …) packs a row of that form without a change of any number
//
// `which` are the rows of the reading that the tokens have. Each token's sums are made in the same
// order whatever the others are, so a token gives the same numbers alone and among them.
#pragma once
#include "../activations.h"
#include "../list.h"
#include "../numbers.h"

#define TOKENS(t) _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)
#define APART __attribute__((noinline))  // once for all that call it
#define ONE_BY_ONE _Pragma("GCC unroll 1")
#define TIMES(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)

// visit(how many, as a type) for tokens, of which T are the most.
template <int T, class Visit>
static inline void of_tokens(int tokens, Visit visit) {
  if constexpr (T > 1) {
    if (tokens < T) return of_tokens<T - 1>(tokens, visit);
  }
  visit(Number<T>{});
}

// Columns of panels that stay in the nearest cache while all tokens meet them.
constexpr int NEAR_COLUMNS = 128;
// Columns of a row's parts, which are all alike, multiples of `multiple`: each begins and ends with all sums.
static inline int part_of_columns(int columns, int most, int multiple) {
  const int parts = (columns + most - 1) / most;
  return (int)up((columns + parts - 1) / parts, multiple);
}
// Tokens that meet panels together: a multiple of every TILE, MANY, MANY_CODES and MANY_WORDS.
constexpr int MOST_TOKENS = 96;
// From so many tokens on two panels share what they read of each, or floats are met some columns after the other.
constexpr int SHARED_FROM = 4;

// sums (T, CHAINS, P) += columns of P panels, 16 floats each, times T tokens, chain after chain: column k
// belongs to chain k mod CHAINS, as where all chains are in registers, and the sums are the same. Of what the panels
// have at `soon`, `next` bytes apart, `step` bytes a column are fetched meanwhile: memory is read while others multiply.
template <int P, int T>
APART static void add_columns(const float *const *panels, int columns, const float *const *rows, const uint8_t *soon,
                              int64_t next, int step, Floats *sums) {
  const float *w[P], *x[T];
  TIMES(p, P) w[p] = panels[p];
  TOKENS(t) x[t] = rows[t];
  for (int c = 0; c < CHAINS; c++) {
    Floats sum[T][P];
    TOKENS(t) TIMES(p, P) sum[t][p] = sums[(t * CHAINS + c) * P + p];
    ONE_BY_ONE for (int64_t k = c; k < columns; k += CHAINS) {
      Floats weights[P];
      TIMES(p, P) weights[p] = load(w[p] + 16 * k);
      TIMES(p, P) __builtin_prefetch(soon + p * next);
      soon += step;
      TOKENS(t) {
        const Floats same = in_register(splat(x[t][k]));
        TIMES(p, P) sum[t][p] = fma(weights[p], same, sum[t][p]);
      }
    }
    TOKENS(t) TIMES(p, P) sums[(t * CHAINS + c) * P + p] = sum[t][p];
  }
}

template <class K>
static int64_t bytes_of(int64_t columns) { return columns / K::STEP * K::STEP_BYTES; }

// Kinds whose numbers are by themselves. K: one of these, with number(panel, column, lane); with
// dot<T>(met, …) for T tokens; and, where WITH_FLOATS says so, with floats_from(panel, k, columns, room): where
// those from column k on stand as floats, if need be in `room`.
template <class K>
struct Plain {
  template <class Form> static constexpr bool keeps = false;

  template <int P>
  APART static void dots(int32_t met, const uint8_t *panel, int64_t next, int columns, const Reading &x, const int32_t *which,
                         int count, Floats *out) {
    if constexpr (K::WITH_FLOATS) {
      if (count >= SHARED_FROM && K::needs(met) == NOTHING) return by_columns<P>(panel, next, columns, x, which, count, out);
    }
    for (int p = 0; p < P; p++) {
      for (int i = 0; i < count; i += TILE) {
        of_tokens<TILE>(count - i < TILE ? count - i : TILE, [&](auto tokens) {
          K::template dot<tokens.value>(met, panel + p * next, columns, x, which + i, out + p * count + i);
        });
      }
    }
  }

  static void read(const uint8_t *panel, int columns, int lane, float *to) {
    for (int k = 0; k < columns; k++) to[k] = K::number(panel, k, lane);
  }

 private:
  template <int P>
  static void by_columns(const uint8_t *panel, int64_t next, int columns, const Reading &x, const int32_t *which, int count,
                           Floats *out) {
    Floats sums[MOST_TOKENS * CHAINS * P];
    alignas(64) float room[P][16 * NEAR_COLUMNS];
    for (int i = 0; i < count * CHAINS * P; i++) sums[i] = splat(0.0f);
    for (int k = 0; k < columns; k += NEAR_COLUMNS) {
      // Panels and rows are padded to whole CHAINS.
      const int here = columns - k < NEAR_COLUMNS ? (int)up(columns - k, CHAINS) : NEAR_COLUMNS;
      const float *panels[P];
      TIMES(p, P) panels[p] = K::floats_from(panel + p * next, k, here, room[p]);
      // The next columns, or the first ones of the panels behind these, in equal parts by each of the tiles.
      const uint8_t *soon = k + here < columns ? panel + bytes_of<K>(k + here) : panel + P * next;
      const int step = (int)bytes_of<K>(here) / (here * ((count + MANY - 1) / MANY));
      for (int i = 0; i < count; i += MANY, soon += here * step) {
        const int tokens = count - i < MANY ? count - i : MANY;
        const float *rows[MANY];
        for (int t = 0; t < tokens; t++) rows[t] = x.values + which[i + t] * x.stride + k;
        of_tokens<MANY>(tokens, [&](auto all) { add_columns<P, all.value>(panels, here, rows, soon, next, step, sums + i * CHAINS * P); });
      }
    }
    for (int i = 0; i < count; i++) {
      TIMES(p, P) {
        Floats total = sums[i * CHAINS * P + p];
        TIMES(c, CHAINS - 1) total = total + sums[(i * CHAINS + c + 1) * P + p];
        out[p * count + i] = total;
      }
    }
  }
};

static inline Floats load_column(const float *p) { return load(p); }
static inline Floats load_column(const uint16_t *p) { return load_half(p); }

// Column by column of 16 numbers each.
template <int T, class Number>
static inline void dot_columns(const Number *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const float *v[T];
  Floats total[T][CHAINS];
  TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(c, CHAINS) total[t][c] = splat(0.0f); }
  for (int k = 0; k < columns; k += CHAINS, w += 16 * CHAINS) {
    TIMES(c, CHAINS) {
      const Floats weights = load_column(w + 16 * c);
      TOKENS(t) total[t][c] = fma(weights, splat(v[t][k + c]), total[t][c]);
    }
  }
  TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
}
