// A matrix times some tokens, its panels of 16 rows shared out among threads.
#pragma once
#include "kinds.h"

// 16 rows of a matrix times some tokens; see kinds/panel.h.
using Dot = void (*)(const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out);

// The one for so many tokens, at most T, and a kind of weights.
template <int T>
static Dot dot_of(int tokens, int32_t kind, bool exact) {
  if constexpr (T > 1) {
    if (tokens < T) return dot_of<T - 1>(tokens, kind, exact);
  }
  return of_kind(kind, [&](auto k) -> Dot {
    using Kind = decltype(k);
    if constexpr (Kind::NEEDS != Kind::EXACT_NEEDS) {
      if (exact) return Kind::template exact<T>;
    }
    return Kind::template dot<T>;
  });
}

static inline int needs_of(const Matrix &matrix, bool exact) { return needs_of_kind(matrix.kind, exact); }
static inline int64_t panels_of(const Matrix &matrix) { return up(matrix.rows, 16) / 16; }

// done(i, p, values): M following panels' products with token which[i], biases added.
// Weights that fit into the cache meet all tokens before the next ones are read.
template <int M, class Done>
static void product(const Matrix &matrix, Range range, const Reading &x, const int32_t *which,
                    int count, bool exact, Done done) {
  constexpr int64_t CACHED = 128 << 10;
  const int64_t bytes = panel_bytes(matrix.kind, matrix.columns);
  int64_t at_once = count <= TILE ? range.end - range.first : CACHED / (M * bytes);
  if (at_once < 1) at_once = 1;
  for (int64_t begin = range.first; begin < range.end; begin += at_once) {
    const int64_t end = begin + at_once < range.end ? begin + at_once : range.end;
    for (int i = 0; i < count; i += TILE) {
      const int tokens = count - i < TILE ? count - i : TILE;
      const Dot dot = dot_of<TILE>(tokens, matrix.kind, exact);
      for (int64_t p = M * begin; p < M * end; p += M) {
        Floats out[M][TILE];
        for (int m = 0; m < M; m++) {
          dot(matrix.data + (p + m) * bytes, matrix.columns, x, which + i, out[m]);
        }
        for (int t = 0; t < tokens; t++) {
          Floats values[M];
          for (int m = 0; m < M; m++) {
            values[m] = matrix.bias ? out[m][t] + load(matrix.bias + 16 * (p + m)) : out[m][t];
          }
          done(i + t, p, values);
        }
      }
    }
  }
}
