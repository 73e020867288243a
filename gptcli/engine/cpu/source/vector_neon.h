// Sixteen lanes in four registers: 64-bit Arm with dot products. See vector_portable.h.
#pragma once
#include <arm_neon.h>
#include <stdint.h>

#include "activations.h"
#include "padded.h"

struct Floats { float32x4_t v[4]; };
struct Ints { int32x4_t v[4]; };

constexpr int TILE = 3, CHAINS = 2, PANELS = 1, MANY = 6, MANY_CODES = 3, MANY_WORDS = 3;
constexpr int QUERIES = 2, CHUNKS = 2;
constexpr bool BFLOAT16_PAIRS = false;  // whether there is dot_halves
constexpr int BYTE_START = 0;           // dot_bytes takes the 128 off by itself

#define FOUR(i) _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)

template <class Make> static inline Floats floats(Make make) {
  Floats r;
  FOUR(i) r.v[i] = make(i);
  return r;
}
template <class Make> static inline Ints ints(Make make) {
  Ints r;
  FOUR(i) r.v[i] = make(i);
  return r;
}

static inline Floats in_register(Floats x) { return x; }
static inline Ints in_register(Ints x) { return x; }
static inline Floats splat(float x) { return floats([&](int) { return vdupq_n_f32(x); }); }
static inline Ints splat_int(int32_t x) { return ints([&](int) { return vdupq_n_s32(x); }); }
static inline Floats load(const float *p) { return floats([&](int i) { return vld1q_f32(p + 4 * i); }); }
static inline void store(float *p, Floats x) { FOUR(i) vst1q_f32(p + 4 * i, x.v[i]); }
static inline Floats load_part(const float *p, int n) {
  if (n >= 16) return load(p);
  float padded[16] = {};
  for (int i = 0; i < n; i++) padded[i] = p[i];
  return load(padded);
}
static inline void store_part(float *p, Floats x, int n) {
  if (n >= 16) return store(p, x);
  float all[16];
  store(all, x);
  for (int i = 0; i < n; i++) p[i] = all[i];
}
static inline Ints load_ints(const void *p) {
  return ints([&](int i) { return vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)p + 16 * i)); });
}
static inline void store_ints(void *p, Ints x) {
  FOUR(i) vst1q_u8((uint8_t *)p + 16 * i, vreinterpretq_u8_s32(x.v[i]));
}

static inline Floats operator+(Floats a, Floats b) { return floats([&](int i) { return vaddq_f32(a.v[i], b.v[i]); }); }
static inline Floats operator-(Floats a, Floats b) { return floats([&](int i) { return vsubq_f32(a.v[i], b.v[i]); }); }
static inline Floats operator*(Floats a, Floats b) { return floats([&](int i) { return vmulq_f32(a.v[i], b.v[i]); }); }
static inline Floats operator/(Floats a, Floats b) { return floats([&](int i) { return vdivq_f32(a.v[i], b.v[i]); }); }
static inline Floats fma(Floats a, Floats b, Floats c) {
  return floats([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
// What is no number stays none, in either argument.
static inline Floats max(Floats a, Floats b) { return floats([&](int i) { return vmaxq_f32(a.v[i], b.v[i]); }); }
static inline Floats min(Floats a, Floats b) { return floats([&](int i) { return vminq_f32(a.v[i], b.v[i]); }); }

static inline Ints operator+(Ints a, Ints b) { return ints([&](int i) { return vaddq_s32(a.v[i], b.v[i]); }); }
static inline Ints operator-(Ints a, Ints b) { return ints([&](int i) { return vsubq_s32(a.v[i], b.v[i]); }); }
static inline Ints operator|(Ints a, Ints b) { return ints([&](int i) { return vorrq_s32(a.v[i], b.v[i]); }); }
static inline Ints operator&(Ints a, Ints b) { return ints([&](int i) { return vandq_s32(a.v[i], b.v[i]); }); }
template <int N> static inline Ints shift_left(Ints a) {
  return ints([&](int i) { return vshlq_n_s32(a.v[i], N); });
}
template <int N> static inline Ints shift_signed_right(Ints a) { return ints([&](int i) { return vshrq_n_s32(a.v[i], N); }); }
// Of each half of a lane.
template <int N> static inline Ints shift_halves_left(Ints a) {
  return ints([&](int i) { return vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(a.v[i]), N)); });
}
template <int N> static inline Ints shift_halves_right(Ints a) {
  return ints([&](int i) { return vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(a.v[i]), N)); });
}
template <int N> static inline Ints shift_right(Ints a) {
  if constexpr (N == 0) return a;  // no such instruction
  else
  return ints([&](int i) { return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v[i]), N)); });
}
static inline Floats as_floats(Ints a) { return floats([&](int i) { return vreinterpretq_f32_s32(a.v[i]); }); }
static inline Ints as_ints(Floats a) { return ints([&](int i) { return vreinterpretq_s32_f32(a.v[i]); }); }
static inline Floats to_floats(Ints a) { return floats([&](int i) { return vcvtq_f32_s32(a.v[i]); }); }
static inline Ints rounded(Floats a) { return ints([&](int i) { return vcvtnq_s32_f32(a.v[i]); }); }

static inline float sum(Floats a) {
  return vaddvq_f32(vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3])));
}
static inline float highest(Floats a) {
  return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}
static inline int32_t sum(Ints a) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[1]), vaddq_s32(a.v[2], a.v[3])));
}
static inline Floats lane_numbers() {
  static const float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(numbers);
}
static inline Floats only(Floats x, int first, int end, float other) {
  float all[16];
  store(all, x);
  for (int i = 0; i < 16; i++) if (i < first || i >= end) all[i] = other;
  return load(all);
}

static inline Floats load_half(const uint16_t *p) {
  return floats([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
static inline Floats load_half_part(const uint16_t *p, int n) { return load_padded(p, n, load_half); }
static inline void store_half(uint16_t *p, Floats x) {  // to the nearest, ties to even
  FOUR(i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
}
// The sign is in all bits of the upper bytes: of these only the highest stays.
static inline Floats load_float8(const uint8_t *p) {
  const int8x16_t bytes = vld1q_s8((const int8_t *)p);
  const uint16x8_t kept = vdupq_n_u16(0xbf80);
  const uint16x8_t low = vandq_u16(vreinterpretq_u16_s16(vshlq_n_s16(vmovl_s8(vget_low_s8(bytes)), 7)), kept);
  const uint16x8_t high = vandq_u16(vreinterpretq_u16_s16(vshlq_n_s16(vmovl_s8(vget_high_s8(bytes)), 7)), kept);
  const uint16x4_t four[4] = {vget_low_u16(low), vget_high_u16(low), vget_low_u16(high), vget_high_u16(high)};
  return floats([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(four[i])); });
}
static inline Floats load_bfloat16(const uint16_t *p) {
  return floats([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
static inline Floats load_bfloat16_part(const uint16_t *p, int n) { return load_padded(p, n, load_bfloat16); }

static inline Ints load_smalls(const uint8_t *p) {
  const uint16x8_t low = vmovl_u8(vld1_u8(p)), high = vmovl_u8(vld1_u8(p + 8));
  const uint32x4_t four[4] = {vmovl_u16(vget_low_u16(low)), vmovl_u16(vget_high_u16(low)), vmovl_u16(vget_low_u16(high)), vmovl_u16(vget_high_u16(high))};
  return ints([&](int i) { return vreinterpretq_s32_u32(four[i]); });
}
static inline Ints looked_up(const uint8_t *table, Ints a) {
  const uint8x16_t all = vld1q_u8(table);
  return ints([&](int i) { return vreinterpretq_s32_u8(vqtbl1q_u8(all, vreinterpretq_u8_s32(a.v[i]))); });
}
static inline Ints minus_words(Ints a, int16_t number) {
  return ints([&](int i) { return vreinterpretq_s32_s16(vsubq_s16(vreinterpretq_s16_s32(a.v[i]), vdupq_n_s16(number))); });
}

static inline Ints load_codes(const int8_t *p) {
  return ints([&](int i) { return vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p + 8 * i))); });
}
static inline void store_words(int16_t *p, Ints a) {
  vst1q_s16(p, vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1])));
  vst1q_s16(p + 8, vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3])));
}
static inline void store_bytes(int8_t *p, Ints a) {
  static const uint8_t order[16] = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15};  // CODE_ORDER
  const int16x8_t low = vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3]));
  vst1q_s8(p, vqtbl1q_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high)), vld1q_u8(order)));
}
static inline Ints dot_bytes(Ints sum, Ints weights, Ints same) {
  const int8x16_t x = vreinterpretq_s8_s32(same.v[0]);
  return ints([&](int i) {  // less 128 is the other sign bit
    return vdotq_s32(sum.v[i], veorq_s8(vreinterpretq_s8_s32(weights.v[i]), vdupq_n_s8(-128)), x);
  });
}
static inline Ints dot_nibbles(Ints sum, Ints weights, Ints same) {
  const int8x16_t x = vreinterpretq_s8_s32(same.v[0]);
  return ints([&](int i) { return vdotq_s32(sum.v[i], vreinterpretq_s8_s32(weights.v[i]), x); });
}
static inline Ints dot_words(Ints sum, Ints weights, Ints same) {
  const int16x8_t x = vreinterpretq_s16_s32(same.v[0]);
  return ints([&](int i) {
    const int16x8_t w = vreinterpretq_s16_s32(weights.v[i]);
    const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(x)), high = vmull_high_s16(w, x);
    return vaddq_s32(sum.v[i], vpaddq_s32(low, high));
  });
}
#undef FOUR
