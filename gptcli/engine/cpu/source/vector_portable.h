// Sixteen lanes in plain C++ with the compiler's own vectors: works everywhere, and is the
// reference for the other headers, which have exactly the same functions.
#pragma once
#include "activations.h"
#include "numbers.h"

typedef float LaneFloats __attribute__((vector_size(64)));
typedef int32_t LaneInts __attribute__((vector_size(64)));
typedef uint32_t LaneBits __attribute__((vector_size(64)));

struct Floats { LaneFloats v; };  // 16 float32
struct Ints { LaneInts v; };      // 16 int32, or 64 bytes, four to a lane

// How many tokens go through a panel of weights at once, and how many sums each keeps apart; where there
// are many, how many go through how many panels, of floats and of codes.
constexpr int TILE = 2, CHAINS = 2, PANELS = 1, MANY = 2, MANY_CODES = 2, MANY_WORDS = 2;
// Attention: how many queries, and how many times 16 features of values, are in registers at once.
constexpr int QUERIES = 2, CHUNKS = 2;
constexpr bool BFLOAT16_PAIRS = false;  // whether there is dot_halves
// A byte of weights is stored plus 128: with what, times the sum of its activations, dot_bytes
// must begin so that its result is without that.
constexpr int BYTE_START = -128;

static inline Floats splat(float x) { return {LaneFloats{} + x}; }
static inline Ints splat_int(int32_t x) { return {LaneInts{} + x}; }
// What several use: some compilers would have each of them read it by itself.
static inline Floats in_register(Floats x) { return x; }
static inline Ints in_register(Ints x) { return x; }
static inline Floats load(const float *p) { Floats r; memcpy(&r, p, 64); return r; }
static inline void store(float *p, Floats x) { memcpy(p, &x, 64); }
static inline Floats load_part(const float *p, int n) {
  Floats r = splat(0);
  for (int i = 0; i < n; i++) r.v[i] = p[i];
  return r;
}
static inline void store_part(float *p, Floats x, int n) {
  for (int i = 0; i < n; i++) p[i] = x.v[i];
}
static inline Ints load_ints(const void *p) { Ints r; memcpy(&r, p, 64); return r; }
static inline void store_ints(void *p, Ints x) { memcpy(p, &x, 64); }

static inline Floats operator+(Floats a, Floats b) { return {a.v + b.v}; }
static inline Floats operator-(Floats a, Floats b) { return {a.v - b.v}; }
static inline Floats operator*(Floats a, Floats b) { return {a.v * b.v}; }
static inline Floats operator/(Floats a, Floats b) { return {a.v / b.v}; }
static inline Floats fma(Floats a, Floats b, Floats c) { return {a.v * b.v + c.v}; }
static inline Floats max(Floats a, Floats b) { return {a.v > b.v ? a.v : b.v}; }
static inline Floats min(Floats a, Floats b) { return {a.v < b.v ? a.v : b.v}; }

static inline Ints operator+(Ints a, Ints b) { return {a.v + b.v}; }
static inline Ints operator-(Ints a, Ints b) { return {a.v - b.v}; }
static inline Ints operator&(Ints a, Ints b) { return {a.v & b.v}; }
static inline Ints operator|(Ints a, Ints b) { return {a.v | b.v}; }
template <int N> static inline Ints shift_left(Ints a) { return {a.v << N}; }
template <int N> static inline Ints shift_signed_right(Ints a) { return {a.v >> N}; }
// Of each half of a lane.
template <int N> static inline Ints shift_halves_left(Ints a) {
  return {(LaneInts)((LaneBits)a.v << N & (LaneBits)(LaneInts{} + (int32_t)((0xffffu << N & 0xffffu) * 0x00010001u)))};
}
template <int N> static inline Ints shift_halves_right(Ints a) {
  return {(LaneInts)((LaneBits)a.v >> N & (LaneBits)(LaneInts{} + (int32_t)((0xffffu >> N) * 0x00010001u)))};
}
template <int N> static inline Ints shift_right(Ints a) { return {(LaneInts)((LaneBits)a.v >> N)}; }
static inline Floats as_floats(Ints a) { return {(LaneFloats)a.v}; }
static inline Ints as_ints(Floats a) { return {(LaneInts)a.v}; }
static inline Floats to_floats(Ints a) { return {__builtin_convertvector(a.v, LaneFloats)}; }
static inline Ints rounded(Floats a) {  // to the nearest, ties to even
  Ints r;
  for (int i = 0; i < 16; i++) r.v[i] = (int32_t)rintf(a.v[i]);
  return r;
}

static inline float sum(Floats a) {
  float h[8];
  for (int i = 0; i < 8; i++) h[i] = a.v[i] + a.v[i + 8];
  for (int i = 0; i < 4; i++) h[i] += h[i + 4];
  return (h[0] + h[2]) + (h[1] + h[3]);
}
static inline float highest(Floats a) {
  float h = a.v[0];
  for (int i = 1; i < 16; i++) h = a.v[i] > h ? a.v[i] : h;
  return h;
}
static inline int32_t sum(Ints a) {
  int32_t s = 0;
  for (int i = 0; i < 16; i++) s += a.v[i];
  return s;
}
static inline Floats lane_numbers() {
  const LaneFloats v = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return {v};
}
// x in lanes first ≤ i < end, otherwise `other`.
static inline Floats only(Floats x, int first, int end, float other) {
  for (int i = 0; i < 16; i++) if (i < first || i >= end) x.v[i] = other;
  return x;
}

static inline Floats load_half(const uint16_t *p) {
  Floats r;
  for (int i = 0; i < 16; i++) r.v[i] = half_to_float(p[i]);
  return r;
}
static inline Floats load_half_part(const uint16_t *p, int n) {
  Floats r = splat(0);
  for (int i = 0; i < n; i++) r.v[i] = half_to_float(p[i]);
  return r;
}
static inline void store_half(uint16_t *p, Floats x) {  // to the nearest, ties to even
  for (int i = 0; i < 16; i++) p[i] = float_to_half(x.v[i]);
}
// Sixteen floats of e4m3, each over 256.
static inline Floats load_float8(const uint8_t *p) {
  Floats r;
  for (int i = 0; i < 16; i++) r.v[i] = half_to_float(float8_to_half(p[i]));
  return r;
}
static inline Floats load_bfloat16(const uint16_t *p) {
  Ints r;
  for (int i = 0; i < 16; i++) r.v[i] = (int32_t)((uint32_t)p[i] << 16);
  return as_floats(r);
}
static inline Floats load_bfloat16_part(const uint16_t *p, int n) {
  Ints r = splat_int(0);
  for (int i = 0; i < n; i++) r.v[i] = (int32_t)((uint32_t)p[i] << 16);
  return as_floats(r);
}

// Sixteen bytes without a sign.
static inline Ints load_smalls(const uint8_t *p) {
  Ints r;
  for (int i = 0; i < 16; i++) r.v[i] = p[i];
  return r;
}
// Each byte, of 0 … 15, becomes that of the table.
static inline Ints looked_up(const uint8_t *table, Ints a) {
  uint8_t bytes[64];
  memcpy(bytes, &a, 64);
  for (int i = 0; i < 64; i++) bytes[i] = table[bytes[i] & 15];
  memcpy(&a, bytes, 64);
  return a;
}
// Both halves of each lane less a number.
static inline Ints minus_words(Ints a, int16_t number) {
  int16_t words[32];
  memcpy(words, &a, 64);
  for (int i = 0; i < 32; i++) words[i] = (int16_t)(words[i] - number);
  memcpy(&a, words, 64);
  return a;
}

// The low bytes of 16 lanes that are within -128 … 127, each eight in CODE_ORDER.
static inline void store_bytes(int8_t *p, Ints a) {
  for (int i = 0; i < 16; i++) p[i] = (int8_t)a.v[i / 8 * 8 + CODE_ORDER[i % 8]];
}
// 32 bytes with a sign as 16-bit numbers, two to a lane.
static inline Ints load_codes(const int8_t *p) {
  int16_t words[32];
  for (int i = 0; i < 32; i++) words[i] = p[i];
  Ints r;
  memcpy(&r, words, 64);
  return r;
}
// The low halves of 16 lanes that are within -32768 … 32767.
static inline void store_words(int16_t *p, Ints a) {
  for (int i = 0; i < 16; i++) p[i] = (int16_t)a.v[i];
}
// sum[lane] += Σ over four bytes of (unsigned weight) · (signed activation of `four`).
static inline Ints dot_bytes(Ints sum, Ints weights, Ints same) {
  uint8_t w[64];
  int8_t x[4];
  memcpy(w, &weights, 64);
  memcpy(x, &same, 4);
  for (int i = 0; i < 16; i++) {
    sum.v[i] += w[4 * i] * x[0] + w[4 * i + 1] * x[1] + w[4 * i + 2] * x[2] + w[4 * i + 3] * x[3];
  }
  return sum;
}
static inline Ints dot_nibbles(Ints sum, Ints weights, Ints same) {
  return dot_bytes(sum, weights, same);
}
// sum[lane] += Σ over two 16-bit numbers of weight · activation.
static inline Ints dot_words(Ints sum, Ints weights, Ints same) {
  int16_t w[32], x[2];
  memcpy(w, &weights, 64);
  memcpy(x, &same, 4);
  for (int i = 0; i < 16; i++) sum.v[i] += w[2 * i] * x[0] + w[2 * i + 1] * x[1];
  return sum;
}
