// Floats → ggml's blocks, for kinds that are packed from floats: the nearest codes between the
// smallest and the largest number of a block.
#pragma once
#include "kinds/small_blocks.h"

static inline void put_half(uint8_t *to, uint16_t half) { memcpy(to, &half, 2); }
static inline int nearest(float x, int low, int high) { return (int)(x < low ? low : x > high ? high : rintf(x)); }

// (32) → a block. Which kinds there is such a function for says `rounds`.
template <class B> static constexpr bool rounds = SAME<B, Q8_0> || SAME<B, Q4_1>;

static inline void round_block(Q8_0, const float *x, uint8_t *block) {
  float largest = 0.0f;
  for (int i = 0; i < 32; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  const uint16_t half = float_to_half(largest / 127.0f);
  const float scale = half_to_float(half), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  put_half(block, half);
  for (int i = 0; i < 32; i++) block[2 + i] = (uint8_t)nearest(x[i] * inverse, -127, 127);
}

static inline void round_block(Q4_1, const float *x, uint8_t *block) {
  float low = x[0], high = x[0];
  for (int i = 1; i < 32; i++) low = x[i] < low ? x[i] : low, high = x[i] > high ? x[i] : high;
  const uint16_t minimum = float_to_half(low), half = float_to_half((high - half_to_float(minimum)) / 15.0f);
  const float least = half_to_float(minimum), scale = half_to_float(half), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  put_half(block, half), put_half(block + 2, minimum);
  for (int i = 0; i < 16; i++) {
    block[4 + i] = (uint8_t)(nearest((x[i] - least) * inverse, 0, 15) | nearest((x[16 + i] - least) * inverse, 0, 15) << 4);
  }
}
