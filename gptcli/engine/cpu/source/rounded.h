// A row of activations in the forms that a matrix needs; see activations.h.
#pragma once

// For each group g of 32: scale = max |x| / most; the rounded = round(x / scale).
// keep(where, the first sixteen rounded), and the others after them.
template <class Keep>
static inline void round_groups(const Reading &to, int64_t row, int columns, float most, Keep keep) {
  const int64_t groups = up(columns, ROW_MULTIPLE) / 32, first = row * (to.stride / 32);
  const float *x = to.values + row * to.stride;
  for (int64_t g = 0; g < groups; g++) {
    const Floats a = load(x + 32 * g), b = load(x + 32 * g + 16), zero = splat(0.0f);
    const float largest = highest(max(max(a, zero - a), max(b, zero - b)));
    // The second term is 0, or not a number where any of the 32 is none: that must not get lost.
    const float scale = largest / most + sum((a + b) * zero);
    const Floats inverse = splat(largest > 1e-30f ? most / largest : 0.0f);
    const Ints p = rounded(a * inverse), q = rounded(b * inverse);
    const int64_t at = row * to.stride + 32 * g;
    keep(at, p), keep(at + 16, q);
    const int32_t low = sum(p), high = sum(q);
    to.scales[first + g] = scale;
    to.sums[2 * (first + g)] = low, to.sums[2 * (first + g) + 1] = high;
    to.sums_of_16[2 * (first + g)] = scale * (float)low, to.sums_of_16[2 * (first + g) + 1] = scale * (float)high;
    to.sums_of_32[first + g] = scale * (float)(low + high);
  }
}

static inline void sum_groups(const Reading &to, int64_t row, int columns) {
  const int64_t groups = up(columns, ROW_MULTIPLE) / 32, first = row * (to.stride / 32);
  const float *x = to.values + row * to.stride;
  for (int64_t g = 0; g < groups; g++) {
    const Floats a = load(x + 32 * g), b = load(x + 32 * g + 16);
    to.sums_of_16[2 * (first + g)] = sum(a), to.sums_of_16[2 * (first + g) + 1] = sum(b);
    to.sums_of_32[first + g] = sum(a + b);
  }
}

static inline void round_row(const Reading &to, int64_t row, int columns, int needs) {
  if (needs & BYTES) round_groups(to, row, columns, 127.0f, [&](int64_t at, Ints x) { store_bytes(to.bytes + at, x); });
  if (needs & WORDS) round_groups(to, row, columns, 32767.0f, [&](int64_t at, Ints x) { store_words(to.words + at, x); });
  if (needs & SUMS) sum_groups(to, row, columns);
#ifdef HAS_BFLOAT16_PAIRS
  if (needs & HALVES) {
    const int64_t at = row * to.stride;
    for (int64_t k = 0; k < up(columns, ROW_MULTIPLE); k += 16) store_bfloat16(to.halves + at + k, load(to.values + at + k));
  }
#endif
}
