// Sixteen lanes in one register: AVX-512 F, BW, DQ, VL and VNNI. See vector_portable.h.
#pragma once
#include <immintrin.h>
#include <stdint.h>

#include "activations.h"

struct Floats { __m512 v; };
struct Ints { __m512i v; };

constexpr int TILE = 6, CHAINS = 4, PANELS = 2, MANY = 6, MANY_CODES = 6, MANY_WORDS = 6;
constexpr int QUERIES = 4, CHUNKS = 4;
#ifdef __AVX512BF16__
#define HAS_BFLOAT16_PAIRS
constexpr bool BFLOAT16_PAIRS = true;
#else
constexpr bool BFLOAT16_PAIRS = false;
#endif
constexpr int BYTE_START = -128;

static inline __mmask16 lanes_below(int n) { return (__mmask16)((1u << n) - 1); }

static inline Floats splat(float x) { return {_mm512_set1_ps(x)}; }
static inline Ints splat_int(int32_t x) { return {_mm512_set1_epi32(x)}; }
// A number that several use is read once: compilers would have each of them read it by itself.
static inline Floats in_register(Floats x) { asm("" : "+v"(x.v)); return x; }
static inline Ints in_register(Ints x) { asm("" : "+v"(x.v)); return x; }
static inline Floats load(const float *p) { return {_mm512_loadu_ps(p)}; }
static inline void store(float *p, Floats x) { _mm512_storeu_ps(p, x.v); }
static inline Floats load_part(const float *p, int n) {
  return {_mm512_maskz_loadu_ps(lanes_below(n), p)};
}
static inline void store_part(float *p, Floats x, int n) {
  _mm512_mask_storeu_ps(p, lanes_below(n), x.v);
}
static inline Ints load_ints(const void *p) { return {_mm512_loadu_si512(p)}; }
static inline void store_ints(void *p, Ints x) { _mm512_storeu_si512(p, x.v); }

static inline Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline Floats operator/(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }

static inline Ints operator+(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
static inline Ints operator-(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
static inline Ints operator|(Ints a, Ints b) { return {_mm512_or_si512(a.v, b.v)}; }
static inline Ints operator&(Ints a, Ints b) { return {_mm512_and_si512(a.v, b.v)}; }
template <int N> static inline Ints shift_left(Ints a) { return {_mm512_slli_epi32(a.v, N)}; }
template <int N> static inline Ints shift_signed_right(Ints a) { return {_mm512_srai_epi32(a.v, N)}; }
// Of each half of a lane.
template <int N> static inline Ints shift_halves_left(Ints a) { return {_mm512_slli_epi16(a.v, N)}; }
template <int N> static inline Ints shift_halves_right(Ints a) { return {_mm512_srli_epi16(a.v, N)}; }
template <int N> static inline Ints shift_right(Ints a) { return {_mm512_srli_epi32(a.v, N)}; }
static inline Floats as_floats(Ints a) { return {_mm512_castsi512_ps(a.v)}; }
static inline Ints as_ints(Floats a) { return {_mm512_castps_si512(a.v)}; }
static inline Floats to_floats(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline Ints rounded(Floats a) { return {_mm512_cvtps_epi32(a.v)}; }

static inline float sum(Floats a) { return _mm512_reduce_add_ps(a.v); }
static inline float highest(Floats a) { return _mm512_reduce_max_ps(a.v); }
static inline int32_t sum(Ints a) { return _mm512_reduce_add_epi32(a.v); }
static inline Floats lane_numbers() {
  return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}
static inline Floats only(Floats x, int first, int end, float other) {
  const __mmask16 kept = lanes_below(end) & ~lanes_below(first);
  return {_mm512_mask_mov_ps(_mm512_set1_ps(other), kept, x.v)};
}

static inline Floats load_half(const uint16_t *p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p))};
}
static inline Floats load_half_part(const uint16_t *p, int n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes_below(n), p))};
}
static inline void store_half(uint16_t *p, Floats x) {  // to the nearest, ties to even
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT));
}
// The sign is in all bits of the upper bytes: of these only the highest stays.
static inline Floats load_float8(const uint8_t *p) {
  const __m256i bytes = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
  return {_mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(bytes, 7), _mm256_set1_epi16((short)0xbf80)))};
}
static inline Floats load_bfloat16(const uint16_t *p) {
  const __m256i halves = _mm256_loadu_si256((const __m256i *)p);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
static inline Floats load_bfloat16_part(const uint16_t *p, int n) {
  const __m256i halves = _mm256_maskz_loadu_epi16(lanes_below(n), p);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}

#ifdef HAS_BFLOAT16_PAIRS
static inline void store_bfloat16(uint16_t *p, Floats x) {
  const __m256bh halves = _mm512_cvtneps_pbh(x.v);
  memcpy(p, &halves, 32);
}
// sum[lane] += Σ over two bfloat16 of weight · activation.
static inline Floats dot_halves(Floats sum, Ints weights, Ints x) {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)weights.v, (__m512bh)x.v)};
}
#endif

static inline Ints load_smalls(const uint8_t *p) { return {_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p))}; }
static inline Ints looked_up(const uint8_t *table, Ints a) {
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)table)), a.v)};
}
static inline Ints minus_words(Ints a, int16_t number) { return {_mm512_sub_epi16(a.v, _mm512_set1_epi16(number))}; }

static inline Ints load_codes(const int8_t *p) { return {_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p))}; }
static inline void store_words(int16_t *p, Ints a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a.v)); }
static inline void store_bytes(int8_t *p, Ints a) {
  const __m128i order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);  // CODE_ORDER
  _mm_storeu_si128((__m128i *)p, _mm_shuffle_epi8(_mm512_cvtepi32_epi8(a.v), order));
}
static inline Ints dot_bytes(Ints sum, Ints weights, Ints x) {
  return {_mm512_dpbusd_epi32(sum.v, weights.v, x.v)};
}
static inline Ints dot_nibbles(Ints sum, Ints weights, Ints x) {
  return dot_bytes(sum, weights, x);
}
static inline Ints dot_words(Ints sum, Ints weights, Ints x) {
  return {_mm512_dpwssd_epi32(sum.v, weights.v, x.v)};
}
