// Activations as bytes, 32 of which share a scale, for weights of 8 and 4 bits; or as bfloat16.
#pragma once

// What a matrix needs of a row beside its floats.
enum Needs { NOTHING = 0, BYTES = 1, HALVES = 2 };

static inline int needs_of(const Matrix &matrix, bool exact) {
  if (matrix.kind == INT8 || matrix.kind == INT4) return BYTES;
  return BFLOAT16_PAIRS && matrix.kind == BFLOAT16 && !exact ? HALVES : NOTHING;
}

// For each group g of 32: scale = max |x| / 127; bytes = round(x / scale).
// exact: the weights will meet the floats themselves, and need the sums only.
static inline void quantise(Reading to, int64_t row, int columns, bool exact) {
  const int64_t groups = up(columns, 64) / 32, first = row * (to.stride / 32);
  const float *x = to.values + row * to.stride;
  for (int64_t g = 0; g < groups; g++) {
    const Floats a = load(x + 32 * g), b = load(x + 32 * g + 16), zero = splat(0.0f);
    if (exact) {
      to.sums[first + g] = sum(a + b);
      continue;
    }
    const float largest = highest(max(max(a, zero - a), max(b, zero - b)));
    // The second term is 0, or not a number where any of the 32 is none: that must not get lost.
    const float scale = largest / 127.0f + sum((a + b) * zero);
    const Floats inverse = splat(largest > 1e-30f ? 127.0f / largest : 0.0f);
    const Ints p = rounded(a * inverse), q = rounded(b * inverse);
    store_bytes(to.bytes + row * to.stride + 32 * g, p);
    store_bytes(to.bytes + row * to.stride + 32 * g + 16, q);
    const int32_t total = sum(p + q);
    to.scales[first + g] = scale;
    to.starts[first + g] = BYTE_START * total;
    to.sums[first + g] = scale * (float)total;
  }
}

static inline void round_row(Reading to, int64_t row, int columns, int needs, bool exact) {
  if (needs & BYTES) quantise(to, row, columns, exact);
#ifdef HAS_BFLOAT16_PAIRS
  if (needs & HALVES) {
    const int64_t at = row * to.stride;
    for (int64_t k = 0; k < up(columns, 64); k += 16) store_bfloat16(to.halves + at + k, load(to.values + at + k));
  }
#endif
}
