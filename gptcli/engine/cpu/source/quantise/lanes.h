// As many rows of a matrix at once as the processor has lanes: no sum goes across lanes, and
// nothing is fused, so every processor gives the same bytes.
#pragma once
#include "../numbers.h"

#if defined(__AVX512F__)
constexpr int WIDE = 16;
#elif defined(__AVX2__)
constexpr int WIDE = 8;
#else
constexpr int WIDE = 4;
#endif

typedef float Lanes __attribute__((vector_size(4 * WIDE)));
typedef int32_t Mask __attribute__((vector_size(4 * WIDE)));

static inline Lanes all(float x) { return Lanes{} + x; }
static inline Lanes pick(Mask which, Lanes yes, Lanes no) { return which ? yes : no; }
static inline Lanes lower(Lanes a, Lanes b) { return a < b ? a : b; }
static inline Lanes higher(Lanes a, Lanes b) { return a > b ? a : b; }
static inline Lanes within(Lanes x, float low, float high) { return lower(higher(x, all(low)), all(high)); }
static inline Lanes size_of(Lanes x) { return (Lanes)((Mask)x & 0x7fffffff); }
// To the nearest, ties to even, for sizes below 2^22.
static inline Lanes rounded(Lanes x) { return (x + 12582912.0f) - 12582912.0f; }
// a / b, and 0 where b is 0.
static inline Lanes ratio(Lanes a, Lanes b) {
  const Mask none = b == 0.0f;
  return pick(none, all(0), a / pick(none, all(1), b));
}
static inline Lanes inverse_of(Lanes x) { return ratio(all(1), x); }
// The nearest half to unit · x, in units of `unit`, which is a power of two.
static inline Lanes as_half(Lanes x, Lanes unit) {
  for (int i = 0; i < WIDE; i++) x[i] = half_to_float(float_to_half(x[i] * unit[i])) / unit[i];
  return x;
}
