// Activations as bytes, 32 of which share a scale, for weights of 8 and 4 bits.
#pragma once

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
