// Sixteen lanes in two registers: AVX2, FMA and F16C. See vector_portable.h.
#pragma once
#include <immintrin.h>
#include <stdint.h>

#include "activations.h"
#include "padded.h"

struct Floats { __m256 a, b; };
struct Ints { __m256i a, b; };

constexpr int TILE = 3, CHAINS = 2, PANELS = 1, MANY = 6, MANY_WORDS = 6;
constexpr int QUERIES = 2, CHUNKS = 2;
constexpr bool BFLOAT16_PAIRS = false;  // whether there is dot_halves
#ifdef __AVXVNNI__
constexpr int MANY_CODES = 6;
constexpr int BYTE_START = -128;
#else
constexpr int MANY_CODES = 3;
constexpr int BYTE_START = 0;  // dot_bytes takes the 128 off by itself
#endif

static inline Floats splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline Ints splat_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
static inline Floats in_register(Floats x) { return x; }
static inline Ints in_register(Ints x) { return x; }
static inline Floats load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void store(float *p, Floats x) { _mm256_storeu_ps(p, x.a), _mm256_storeu_ps(p + 8, x.b); }
static inline Ints load_ints(const void *p) {
  return {_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)};
}
static inline void store_ints(void *p, Ints x) {
  _mm256_storeu_si256((__m256i *)p, x.a), _mm256_storeu_si256((__m256i *)p + 1, x.b);
}
// Lanes below n: all bits set.
static inline Ints lanes_below(int n) {
  const __m256i limit = _mm256_set1_epi32(n);
  return {_mm256_cmpgt_epi32(limit, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
          _mm256_cmpgt_epi32(limit, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
static inline Floats load_part(const float *p, int n) {
  if (n >= 16) return load(p);
  const Ints kept = lanes_below(n);
  return {_mm256_maskload_ps(p, kept.a), _mm256_maskload_ps(p + 8, kept.b)};
}
static inline void store_part(float *p, Floats x, int n) {
  if (n >= 16) return store(p, x);
  const Ints kept = lanes_below(n);
  _mm256_maskstore_ps(p, kept.a, x.a), _mm256_maskstore_ps(p + 8, kept.b, x.b);
}

static inline Floats operator+(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
static inline Floats operator-(Floats x, Floats y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
static inline Floats operator*(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
static inline Floats operator/(Floats x, Floats y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
static inline Floats fma(Floats x, Floats y, Floats z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
static inline Floats max(Floats x, Floats y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
static inline Floats min(Floats x, Floats y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }

static inline Ints operator+(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
static inline Ints operator-(Ints x, Ints y) { return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
static inline Ints operator|(Ints x, Ints y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
static inline Ints operator&(Ints x, Ints y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
template <int N> static inline Ints shift_left(Ints x) {
  return {_mm256_slli_epi32(x.a, N), _mm256_slli_epi32(x.b, N)};
}
template <int N> static inline Ints shift_signed_right(Ints x) { return {_mm256_srai_epi32(x.a, N), _mm256_srai_epi32(x.b, N)}; }
// Of each half of a lane.
template <int N> static inline Ints shift_halves_left(Ints x) { return {_mm256_slli_epi16(x.a, N), _mm256_slli_epi16(x.b, N)}; }
template <int N> static inline Ints shift_halves_right(Ints x) { return {_mm256_srli_epi16(x.a, N), _mm256_srli_epi16(x.b, N)}; }
template <int N> static inline Ints shift_right(Ints x) {
  return {_mm256_srli_epi32(x.a, N), _mm256_srli_epi32(x.b, N)};
}
static inline Floats as_floats(Ints x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
static inline Ints as_ints(Floats x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
static inline Floats to_floats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
static inline Ints rounded(Floats x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }

static inline float sum(Floats x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
static inline float highest(Floats x) {
  const __m256 eight = _mm256_max_ps(x.a, x.b);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
static inline int32_t sum(Ints x) {
  const __m256i eight = _mm256_add_epi32(x.a, x.b);
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
static inline Floats lane_numbers() {
  return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_ps(8, 9, 10, 11, 12, 13, 14, 15)};
}
static inline Floats only(Floats x, int first, int end, float other) {
  const Ints below = lanes_below(end), before = lanes_below(first);
  const __m256 instead = _mm256_set1_ps(other);
  return {_mm256_blendv_ps(instead, x.a, _mm256_castsi256_ps(_mm256_andnot_si256(before.a, below.a))),
          _mm256_blendv_ps(instead, x.b, _mm256_castsi256_ps(_mm256_andnot_si256(before.b, below.b)))};
}

static inline Floats load_half(const uint16_t *p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1))};
}
static inline Floats load_half_part(const uint16_t *p, int n) { return load_padded(p, n, load_half); }
static inline void store_half(uint16_t *p, Floats x) {  // to the nearest, ties to even
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128((__m128i *)p + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
// The sign is in all bits of the upper bytes: of these only the highest stays.
static inline Floats load_float8(const uint8_t *p) {
  const __m256i bytes = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
  const __m256i halves = _mm256_and_si256(_mm256_slli_epi16(bytes, 7), _mm256_set1_epi16((short)0xbf80));
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
static inline Floats load_bfloat16(const uint16_t *p) {
  const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
  const __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p + 1));
  return as_floats(shift_left<16>(Ints{low, high}));
}
static inline Floats load_bfloat16_part(const uint16_t *p, int n) { return load_padded(p, n, load_bfloat16); }

static inline Ints load_smalls(const uint8_t *p) {
  const __m128i bytes = _mm_loadu_si128((const __m128i *)p);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
static inline Ints looked_up(const uint8_t *table, Ints x) {
  const __m256i both = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)table));
  return {_mm256_shuffle_epi8(both, x.a), _mm256_shuffle_epi8(both, x.b)};
}
static inline Ints minus_words(Ints x, int16_t number) {
  const __m256i all = _mm256_set1_epi16(number);
  return {_mm256_sub_epi16(x.a, all), _mm256_sub_epi16(x.b, all)};
}

static inline Ints load_codes(const int8_t *p) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)), _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p + 1))};
}
static inline void store_words(int16_t *p, Ints x) {
  _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8));
}
static inline void store_bytes(int8_t *p, Ints x) {
  // Packing works within halves of 128 bits: the order is set right between the two steps.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
  const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(words, words), 0xd8);
  const __m128i order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);  // CODE_ORDER
  _mm_storeu_si128((__m128i *)p, _mm_shuffle_epi8(_mm256_castsi256_si128(bytes), order));
}

#ifdef __AVXVNNI__
static inline Ints dot_bytes(Ints sum, Ints weights, Ints x) {
  return {_mm256_dpbusd_avx_epi32(sum.a, weights.a, x.a), _mm256_dpbusd_avx_epi32(sum.b, weights.b, x.a)};
}
static inline Ints dot_nibbles(Ints sum, Ints weights, Ints x) { return dot_bytes(sum, weights, x); }
static inline Ints dot_words(Ints sum, Ints weights, Ints x) {
  return {_mm256_dpwssd_avx_epi32(sum.a, weights.a, x.a), _mm256_dpwssd_avx_epi32(sum.b, weights.b, x.a)};
}
#else
// One product after the other is added, where the sum is: compilers would make a tree of many and run out of registers,
// or copy each sum.
static inline __m256i added(__m256i sum, __m256i product) {
  asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(product));
  return sum;
}
static inline __m256i added_pairs(__m256i sum, __m256i pairs) { return added(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))); }
// |w| · (x with the sign of w): two such products are at most 2 · 128 · 127, which 16 bits hold.
static inline __m256i signed_dot(__m256i sum, __m256i weights, __m256i x) {
  const __m256i w = _mm256_xor_si256(weights, _mm256_set1_epi8(-128));
  return added_pairs(sum, _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)));
}
static inline Ints dot_bytes(Ints sum, Ints weights, Ints x) {
  return {signed_dot(sum.a, weights.a, x.a), signed_dot(sum.b, weights.b, x.a)};
}
static inline Ints dot_nibbles(Ints sum, Ints weights, Ints x) {
  return {added_pairs(sum.a, _mm256_maddubs_epi16(weights.a, x.a)), added_pairs(sum.b, _mm256_maddubs_epi16(weights.b, x.a))};
}
static inline Ints dot_words(Ints sum, Ints weights, Ints x) {
  return {added(sum.a, _mm256_madd_epi16(weights.a, x.a)), added(sum.b, _mm256_madd_epi16(weights.b, x.a))};
}
#endif
