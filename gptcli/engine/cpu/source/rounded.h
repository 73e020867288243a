// A row of activations in the forms that a matrix needs; see activations.h.
#pragma once

// For each group g of 32: scale = max |x| / 127; bytes = round(x / scale).
static inline void round_to_bytes(const Reading &to, int64_t row, int columns) {
  const int64_t groups = up(columns, ROW_MULTIPLE) / 32, first = row * (to.stride / 32);
  const float *x = to.values + row * to.stride;
  for (int64_t g = 0; g < groups; g++) {
    const Floats a = load(x + 32 * g), b = load(x + 32 * g + 16), zero = splat(0.0f);
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
    to.rounded_sums[first + g] = scale * (float)total;
  }
}

static inline void sum_groups(const Reading &to, int64_t row, int columns) {
  const int64_t groups = up(columns, ROW_MULTIPLE) / 32, first = row * (to.stride / 32);
  const float *x = to.values + row * to.stride;
  for (int64_t g = 0; g < groups; g++) to.sums[first + g] = sum(load(x + 32 * g) + load(x + 32 * g + 16));
}

static inline void round_row(const Reading &to, int64_t row, int columns, int needs) {
  if (needs & BYTES) round_to_bytes(to, row, columns);
  if (needs & SUMS) sum_groups(to, row, columns);
#ifdef HAS_BFLOAT16_PAIRS
  if (needs & HALVES) {
    const int64_t at = row * to.stride;
    for (int64_t k = 0; k < up(columns, ROW_MULTIPLE); k += 16) store_bfloat16(to.halves + at + k, load(to.values + at + k));
  }
#endif
}
