// What all kinds of weights share. Rows of a matrix go in panels of 16, a lane each; a panel holds
// all its columns, so that a thread reads its panels from first to last, as memory likes best.
//
// A kind is a struct with
//
//   NAME                 as abi.Kind has it
//   STEP, STEP_BYTES     so many columns of a panel, padded with what adds nothing, and their bytes
//   NEEDS, EXACT_NEEDS   what its products need of activations, see activations.h; EXACT_NEEDS
//                        where activations are not to be rounded
//   TABLE                whether rows of a table may be of it; then number(from, at) reads one
//   keeps<Form>          whether keep(Form, row, …) packs a row without a change of any number
//   put(x, …)            packs a row of floats, padded with zeros to whole steps, into a lane
//   dot<T>(…)            16 rows times T tokens; exact<T>(…) where EXACT_NEEDS are others
//
// `which` are the rows of the reading that the tokens have. Each token's sums are made in the same
// order whatever T is, so a token gives the same numbers alone and among others.
#pragma once
#include "../activations.h"
#include "../forms.h"

#define TOKENS(t) _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)
#define TIMES(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)

// Kinds whose numbers are by themselves.
struct Plain {
  static constexpr int NEEDS = NOTHING, EXACT_NEEDS = NOTHING;
  static constexpr bool TABLE = true;
  template <class Form> static constexpr bool keeps = false;
};

// Kinds where 32 numbers of a row, a group, share a scale: two groups are a step.
struct Grouped {
  static constexpr int STEP = 64;
  static constexpr bool TABLE = false;
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
