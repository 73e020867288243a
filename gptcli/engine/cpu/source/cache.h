// The KV cache: for each layer (batch, kv_heads, capacity, head_dim) numbers of one type. A layer that does
// not see all that was before has only what it may yet see.
//
// Values stand position by position. Keys stand in groups of 16 positions, so that the scores of
// 16 positions are sums of whole vectors; a key group takes the memory of its 16 positions:
//
//   float32, float16   for each feature: 16 positions
//   bfloat16           for each pair of features: 16 × (even, odd), as weights do in kinds/; where
//                      head_dim is odd, the last feature by itself: 16 positions
//
//   int8               see codes.h, also for values
//
// What latent attention keeps are keys that stand position by position, and there are no values.
//
// So a capacity is a multiple of 16; that of a page, of the 64 positions that attention takes at once.
#pragma once

// Bytes of a head's key and value of a token, where these are codes and a scale.
static inline int64_t key_bytes(const LayerWeights &w) { return head_stride(w) * 5 / 4 + (int64_t)sizeof(float); }
static inline int64_t value_bytes(const LayerWeights &w) { return head_stride(w) + (int64_t)sizeof(float); }

// Where a row's key or value of a head and position begins: counted in numbers, of which each position has `each`.
static inline int64_t cached_at(const Call &c, const LayerWeights &w, int row, int head, int position, int64_t each) {
  const Kept &k = c.kept[w.cache];
  const int32_t *table = c.tables[k.near];
  const int64_t page = table ? table[(int64_t)row * c.row_pages + position / k.capacity] : row;
  const int at = table ? position % k.capacity : k.origins ? position - k.origins[row] : position;
  return ((page * w.kv_heads + head) * k.capacity + at) * each;
}

// What is read soon: a stretch of a head is too short for the processor to find out by itself.
template <class T>
static inline void begin_to_load(const T *from, int64_t count) {
  for (int64_t at = 0; at < count * (int64_t)sizeof(T); at += 64) __builtin_prefetch((const char *)from + at);
}

struct CachedBFloat16 { uint16_t bits; };
struct CachedFloat16 { uint16_t bits; };
struct CachedInt8 { int8_t code; };

// use(a number of the type that is cached)
template <class Use>
static inline void as_cached(int32_t kind, Use use) {
  if (kind == CACHE_BFLOAT16) use(CachedBFloat16{});
  else if (kind == CACHE_FLOAT16) use(CachedFloat16{});
  else if (kind == CACHE_INT8) use(CachedInt8{});
  else use(float{});
}

// Where a feature's number is, from its key group on.
static inline int key_at(const float *, int feature, int lane, int) { return 16 * feature + lane; }
static inline int key_at(const CachedFloat16 *, int feature, int lane, int) { return 16 * feature + lane; }
static inline int key_at(const CachedBFloat16 *, int feature, int lane, int head_dim) {
  if (feature == head_dim - 1 && feature % 2 == 0) return 16 * feature + lane;
  return 16 * (feature & ~1) + 2 * lane + feature % 2;
}

// Numbers as the cache has them.
static inline void rounded_to(float *to, const float *x, int n) { memcpy(to, x, n * sizeof(float)); }
static inline void rounded_to(CachedBFloat16 *to, const float *x, int n) {
  for (int i = 0; i < n; i++) to[i].bits = float_to_bfloat16(x[i]);
}
// What is beyond the range of halves becomes the last of them: a finite number stays finite. What is
// not finite becomes no number, also an infinity.
static inline void rounded_to(CachedFloat16 *to, const float *x, int n) {
  for (int i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    const Floats all = load_part(x + i, lanes);
    const Floats near = min(splat(65504.0f), max(splat(-65504.0f), all));
    uint16_t halves[16];
    store_half(halves, fma(all, splat(0.0f), near));
    memcpy(to + i, halves, lanes * sizeof(uint16_t));
  }
}
