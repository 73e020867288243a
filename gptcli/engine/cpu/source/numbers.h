// Halves, bfloat16, float8 and float32, one number at a time.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
static inline uint32_t to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

static inline float bfloat16_to_float(uint16_t x) { return from_bits((uint32_t)x << 16); }

static inline uint16_t float_to_bfloat16(float x) {  // to the nearest, ties to even
  const uint32_t bits = to_bits(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)((bits >> 16) | 64);  // stays no number
  return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float half_to_float(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
  if (rest >= 0x7c00) return from_bits(sign | 0x7f800000 | (rest << 13));  // infinite, or no number
  if (rest >= 0x0400) return from_bits(sign | ((rest << 13) + 0x38000000));
  return from_bits(sign | to_bits((float)rest * 5.9604644775390625e-8f));  // 2^-24
}

// Four bits of exponent, three of mantissa, no infinities: a half of other bits, and 256 times that.
static inline uint16_t float8_to_half(uint8_t x) { return (uint16_t)((x & 0x80) << 8 | (x & 0x7f) << 7); }
static inline float float8_to_float(uint8_t x) { return half_to_float(float8_to_half(x)) * 256.0f; }

static inline uint16_t float_to_half(float x) {  // to the nearest, ties to even
  const uint32_t bits = to_bits(x), rest = bits & 0x7fffffff;
  const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
  if (rest > 0x7f800000) return sign | 0x7e00;
  if (rest >= 0x477ff000) return sign | 0x7c00;  // from 65520 on
  if (rest < 0x38800000) {                       // below 2^-14: a multiple of 2^-24
    return sign | (uint16_t)rintf(from_bits(rest) * 16777216.0f);
  }
  return sign | (uint16_t)((rest - 0x38000000 + 0x0fff + ((rest >> 13) & 1)) >> 13);
}
