// The layout of the KV cache: for each layer (batch, kv_heads, capacity, head_dim) numbers.
//
// Values stand position by position. Keys stand in groups of 16 positions, so that the scores of
// 16 positions are sums of whole vectors; a key group takes the memory of its 16 positions:
//
//   float32    for each feature: 16 positions
//   bfloat16   for each pair of features: 16 × (even, odd), as weights do in kinds/; where
//              head_dim is odd, the last feature by itself: 16 positions
//
// So a capacity is a multiple of 16.
#pragma once

static inline int float32_key_at(int feature, int lane) { return 16 * feature + lane; }
static inline int bfloat16_key_at(int feature, int lane, int head_dim) {
  if (feature == head_dim - 1 && feature % 2 == 0) return 16 * feature + lane;
  return 16 * (feature & ~1) + 2 * lane + feature % 2;
}
