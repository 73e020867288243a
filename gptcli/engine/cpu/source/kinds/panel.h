// What all kinds of weights share. Rows of a matrix go in panels of 16, a lane each; a panel holds
// all its columns, so that a thread reads its panels from first to last, as memory likes best.
//
// A kind is a struct with
//
//   NAME                 as abi.Kind has it
//   STEP, STEP_BYTES     so many columns of a panel, padded with what adds nothing, and their bytes
//   needs(met)           what its products need of activations, see activations.h
//   dots(met, …)         16 rows times any number of tokens, one after the other in `out`
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

// Kinds whose numbers are by themselves. K: one of these, with number(panel, column, lane), and with
// dot<T>(met, …) for T tokens.
template <class K>
struct Plain {
  template <class Form> static constexpr bool keeps = false;

  APART static void dots(int32_t met, const uint8_t *panel, int columns, const Reading &x, const int32_t *which,
                   int count, Floats *out) {
    for (int i = 0; i < count; i += TILE) {
      of_tokens<TILE>(count - i < TILE ? count - i : TILE, [&](auto tokens) {
        K::template dot<tokens.value>(met, panel, columns, x, which + i, out + i);
      });
    }
  }

  static void read(const uint8_t *panel, int columns, int lane, float *to) {
    for (int k = 0; k < columns; k++) to[k] = K::number(panel, k, lane);
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
