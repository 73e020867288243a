// A matrix times some tokens, its panels of 16 rows shared out among threads.
#pragma once
#include "kinds.h"

static inline int needs_of(const Matrix &matrix, int32_t met) { return matrix.data ? needs_of_kind(matrix.kind, met) : NOTHING; }
static inline int64_t panels_of(const Matrix &matrix) { return up(matrix.rows, 16) / 16; }

// 16 rows of each of P panels times some tokens; see kinds/panel.h.
using Dots = void (*)(int32_t met, const uint8_t *panel, int64_t next, int columns, const Reading &x, const int32_t *which, int count,
                      Floats *out);
template <int P>
static Dots dots_of(int32_t kind) {
  return of_kind(kind, [](auto k) -> Dots { return decltype(k)::template dots<P>; });
}

// done(i, p, values): panel p of each matrix' products with token which[i], biases added. Matrices
// have as many rows and columns as each other.
// Weights that fit into the cache meet all tokens before the next ones are read.
template <int M, class Done>
static void product(const Matrix *const (&matrices)[M], Range range, const Reading &x, const int32_t *which,
                    int count, int32_t met, Done done) {
  constexpr int64_t CACHED = 256 << 10;
  int64_t bytes[M], all = 0;
  // Some tokens make it worth while to have several panels meet each that was read.
  const int wide = count >= SHARED_FROM ? PANELS : 1;
  Dots one[M], several[M];
  for (int m = 0; m < M; m++) {
    all += bytes[m] = panel_bytes(matrices[m]->kind, matrices[m]->columns);
    one[m] = dots_of<1>(matrices[m]->kind), several[m] = dots_of<PANELS>(matrices[m]->kind);
  }
  int64_t at_once = count <= MOST_TOKENS ? range.end - range.first : CACHED / all / wide * wide;
  if (at_once < wide) at_once = wide;
  for (int64_t begin = range.first; begin < range.end; begin += at_once) {
    const int64_t end = begin + at_once < range.end ? begin + at_once : range.end;
    for (int i = 0; i < count; i += MOST_TOKENS) {
      const int tokens = count - i < MOST_TOKENS ? count - i : MOST_TOKENS;
      for (int64_t p = begin; p < end;) {
        const int panels = end - p < wide ? 1 : wide;
        Floats out[M][PANELS * MOST_TOKENS];
        for (int m = 0; m < M; m++) {
          const Matrix &matrix = *matrices[m];
          const Dots dots = panels > 1 ? several[m] : one[m];
          dots(met, matrix.data + p * bytes[m], bytes[m], matrix.columns, x, which + i, tokens, out[m]);
        }
        for (int q = 0; q < panels; q++, p++) {
          for (int t = 0; t < tokens; t++) {
            Floats values[M];
            for (int m = 0; m < M; m++) {
              const float *bias = matrices[m]->bias;
              values[m] = out[m][q * tokens + t] * splat(matrices[m]->scale);
              if (bias) values[m] = values[m] + load(bias + 16 * p);
            }
            done(i + t, p, values);
          }
        }
      }
    }
  }
}

template <class Done>
static void product(const Matrix &matrix, Range range, const Reading &x, const int32_t *which, int count, int32_t met, Done done) {
  const Matrix *const one[] = {&matrix};
  product<1>(one, range, x, which, count, met, done);
}

// Row `row` of a matrix without an order as float32, (columns).
static inline void read_row(const Matrix &matrix, int64_t row, float *to) {
  const uint8_t *panel = matrix.data + row / 16 * panel_bytes(matrix.kind, matrix.columns);
  of_kind(matrix.kind, [&](auto k) { decltype(k)::read(panel, matrix.columns, (int)(row % 16), to); });
  for (int k = 0; k < matrix.columns; k++) to[k] *= matrix.scale;
}
