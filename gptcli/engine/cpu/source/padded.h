// Where a processor reads sixteen numbers of 16 bits at a time or none.
#pragma once
#include <stdint.h>

// The first n, and zeros. load: reads sixteen.
template <class Lanes>
static inline Lanes load_padded(const uint16_t *p, int n, Lanes (*load)(const uint16_t *)) {
  if (n >= 16) return load(p);
  uint16_t padded[16] = {};
  for (int i = 0; i < n; i++) padded[i] = p[i];
  return load(padded);
}
