// How the numbers of a row come in before they are packed: one by one, or in blocks, ggml's or those of
// kinds/. So many NUMBERS have so many BYTES.
#pragma once
#include "kinds.h"

struct AsFloat32 {
  static constexpr char NAME[] = "float32";
  static constexpr int NUMBERS = 1, BYTES = 4;
  static void floats(const uint8_t *from, float *to) { memcpy(to, from, 4); }
};

static inline uint16_t half_at(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, 2);
  return h;
}

struct AsBFloat16 {
  static constexpr char NAME[] = "bfloat16";
  static constexpr int NUMBERS = 1, BYTES = 2;
  static void floats(const uint8_t *from, float *to) { *to = bfloat16_to_float(half_at(from)); }
};

struct AsFloat16 {
  static constexpr char NAME[] = "float16";
  static constexpr int NUMBERS = 1, BYTES = 2;
  static void floats(const uint8_t *from, float *to) { *to = half_to_float(half_at(from)); }
};

// In the order of abi.Form.
using Forms = List<AsFloat32, AsBFloat16, AsFloat16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, MXFP4,
                   NVFP4, AFFINE4_32, AFFINE4_64, AFFINE4_128, AFFINE5_64, AFFINE6_64, AFFINE8_32, AFFINE8_64, AFFINE8_128, Float8>;

// So many numbers of a row as float32.
template <class Form>
static inline void row_as_floats(const uint8_t *row, int64_t columns, float *to) {
  for (int64_t k = 0; k < columns; k++) Form::floats(row + k * Form::BYTES, to + k);
}
