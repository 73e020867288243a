// How the numbers of a row come in before they are packed: one by one, or in ggml's blocks of 32.
// gptcli/formats/ggml_blocks.py describes these. So many NUMBERS have so many BYTES.
#pragma once
#include "list.h"
#include "numbers.h"

static inline uint16_t half_at(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, 2);
  return h;
}

struct AsFloat32 {
  static constexpr char NAME[] = "float32";
  static constexpr int NUMBERS = 1, BYTES = 4;
  static void floats(const uint8_t *from, float *to) { memcpy(to, from, 4); }
};

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

struct Q8_0 {
  static constexpr char NAME[] = "q8_0";
  static constexpr int NUMBERS = 32, BYTES = 34;
  static void floats(const uint8_t *block, float *to) {
    const float scale = half_to_float(half_at(block));
    for (int i = 0; i < 32; i++) to[i] = scale * (float)(int8_t)block[2 + i];
  }
};

// The four bits of number i: i and i + 16 share a byte.
static inline int four_of(const uint8_t *bytes, int i) { return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4; }

struct Q4_0 {
  static constexpr char NAME[] = "q4_0";
  static constexpr int NUMBERS = 32, BYTES = 18;
  static void floats(const uint8_t *block, float *to) {
    const float scale = half_to_float(half_at(block));
    for (int i = 0; i < 32; i++) to[i] = scale * (float)(four_of(block + 2, i) - 8);
  }
};

struct Q4_1 {
  static constexpr char NAME[] = "q4_1";
  static constexpr int NUMBERS = 32, BYTES = 20;
  static void floats(const uint8_t *block, float *to) {
    const float scale = half_to_float(half_at(block)), minimum = half_to_float(half_at(block + 2));
    for (int i = 0; i < 32; i++) to[i] = scale * (float)four_of(block + 4, i) + minimum;
  }
};

// In the order of abi.Form.
using Forms = List<AsFloat32, AsBFloat16, AsFloat16, Q8_0, Q4_0, Q4_1>;

// So many numbers of a row, which are whole blocks, as float32.
template <class Form>
static inline void row_as_floats(const uint8_t *row, int64_t columns, float *to) {
  for (int64_t b = 0; b < columns / Form::NUMBERS; b++) Form::floats(row + b * Form::BYTES, to + b * Form::NUMBERS);
}
