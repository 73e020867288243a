// A matrix times some tokens, blocks of 16 rows shared out among threads.
#pragma once

// Not inlined, or each use of `product` would have all of them.
template <int T>
__attribute__((noinline)) static void dot(int32_t kind, bool exact, const uint8_t *block, int columns, const Reading &x,
                const int32_t *which, Floats *out) {
  switch (kind) {
    case FLOAT32: return dot_float32<T>(block, columns, x, which, out);
    case FLOAT16: return dot_float16<T>(block, columns, x, which, out);
#ifdef HAS_BFLOAT16_PAIRS
    case BFLOAT16:
      return exact ? dot_bfloat16<T>(block, columns, x, which, out) : dot_bfloat16_pairs<T>(block, columns, x, which, out);
#else
    case BFLOAT16: return dot_bfloat16<T>(block, columns, x, which, out);
#endif
    case INT8:
      return exact ? dot_int8_exact<T>(block, columns, x, which, out) : dot_int8<T>(block, columns, x, which, out);
    default:
      return exact ? dot_int4_exact<T>(block, columns, x, which, out) : dot_int4<T>(block, columns, x, which, out);
  }
}

template <int T>
static void dot_some(int tokens, int32_t kind, bool exact, const uint8_t *block, int columns,
                     const Reading &x, const int32_t *which, Floats *out) {
  if (tokens == T) return dot<T>(kind, exact, block, columns, x, which, out);
  if constexpr (T > 1) dot_some<T - 1>(tokens, kind, exact, block, columns, x, which, out);
}

static inline int64_t blocks_of(const Matrix &matrix) { return up(matrix.rows, 16) / 16; }

// done(i, block, values): M following blocks' products with token which[i], biases added.
// Weights that fit into the cache meet all tokens before the next ones are read.
template <int M, class Done>
static void product(const Matrix &matrix, Range range, const Reading &x, const int32_t *which,
                    int count, bool exact, Done done) {
  constexpr int64_t CACHED = 128 << 10;
  const int64_t bytes = block_bytes(matrix.kind, matrix.columns);
  int64_t at_once = count <= TILE ? range.end - range.first : CACHED / (M * bytes);
  if (at_once < 1) at_once = 1;
  for (int64_t begin = range.first; begin < range.end; begin += at_once) {
    const int64_t end = begin + at_once < range.end ? begin + at_once : range.end;
    for (int i = 0; i < count; i += TILE) {
      const int tokens = count - i < TILE ? count - i : TILE;
      for (int64_t b = M * begin; b < M * end; b += M) {
        Floats out[M][TILE];
        for (int m = 0; m < M; m++) {
          dot_some<TILE>(tokens, matrix.kind, exact, matrix.data + (b + m) * bytes, matrix.columns, x, which + i, out[m]);
        }
        for (int t = 0; t < tokens; t++) {
          Floats values[M];
          for (int m = 0; m < M; m++) {
            values[m] = matrix.bias ? out[m][t] + load(matrix.bias + 16 * (b + m)) : out[m][t];
          }
          done(i + t, b, values);
        }
      }
    }
  }
}
