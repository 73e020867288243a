// Rows of numbers → blocks of 16 rows. See pack.h for the layouts.
#include "pack.h"

#include <vector>

#include "numbers.h"
#include "pool.h"

namespace {

uint16_t half_at(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, 2);
  return h;
}

// A row as floats, whatever it comes in.
void row_as_floats(Form form, const uint8_t *row, int64_t columns, float *to) {
  for (int64_t k = 0; k < columns; k++) {
    switch (form) {
      case AS_FLOAT32: memcpy(to + k, row + 4 * k, 4); break;
      case AS_BFLOAT16: to[k] = bfloat16_to_float(half_at(row + 2 * k)); break;
      case AS_FLOAT16: to[k] = half_to_float(half_at(row + 2 * k)); break;
      case Q8_0: {
        const uint8_t *block = row + k / 32 * 34;
        to[k] = half_to_float(half_at(block)) * (float)(int8_t)block[2 + k % 32];
        break;
      }
      default: {
        const int size = form == Q4_0 ? 18 : 20;
        const uint8_t *block = row + k / 32 * size, byte = block[size - 16 + k % 16];
        const int four = k % 32 < 16 ? byte & 15 : byte >> 4;
        const float scale = half_to_float(half_at(block));
        if (form == Q4_0) to[k] = scale * (float)(four - 8);
        else to[k] = scale * (float)four + half_to_float(half_at(block + 2));
      }
    }
  }
}

// 32 numbers as bytes with a scale.
struct Eight { uint16_t scale; int8_t numbers[32]; };

Eight to_eight(const float *x) {
  float largest = 0.0f;
  for (int i = 0; i < 32; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  Eight out;
  out.scale = float_to_half(largest / 127.0f);
  const float scale = half_to_float(out.scale), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (int i = 0; i < 32; i++) {
    const float n = rintf(x[i] * inverse);
    out.numbers[i] = (int8_t)(n < -127.0f ? -127.0f : n > 127.0f ? 127.0f : n);
  }
  return out;
}

// 32 numbers as four bits with a scale and a minimum.
struct Four { uint16_t scale, minimum; uint8_t numbers[32]; };

Four to_four(const float *x) {
  float low = x[0], high = x[0];
  for (int i = 1; i < 32; i++) low = x[i] < low ? x[i] : low, high = x[i] > high ? x[i] : high;
  Four out;
  out.minimum = float_to_half(low);
  out.scale = float_to_half((high - half_to_float(out.minimum)) / 15.0f);
  const float minimum = half_to_float(out.minimum), scale = half_to_float(out.scale);
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (int i = 0; i < 32; i++) {
    const float n = rintf((x[i] - minimum) * inverse);
    out.numbers[i] = (uint8_t)(n < 0.0f ? 0.0f : n > 15.0f ? 15.0f : n);
  }
  return out;
}

Eight from_q8_0(const uint8_t *block) {
  Eight out;
  out.scale = half_at(block);
  memcpy(out.numbers, block + 2, 32);
  return out;
}

Four from_q4(const uint8_t *block, bool has_minimum) {
  Four out;
  out.scale = half_at(block);
  // Four bits less 8 is four bits with a minimum of -8 scales.
  out.minimum = has_minimum ? half_at(block + 2) : float_to_half(-8.0f * half_to_float(out.scale));
  const uint8_t *bytes = block + (has_minimum ? 4 : 2);
  for (int i = 0; i < 16; i++) out.numbers[i] = bytes[i] & 15, out.numbers[16 + i] = bytes[i] >> 4;
  return out;
}

// Where group `g` of a row goes: its step of 64 columns, and which half of that.
void put_eight(const Eight &from, uint8_t *block, int64_t g, int lane) {
  uint8_t *step = block + g / 2 * INT8_STEP;
  memcpy(step + 32 * (g % 2) + 2 * lane, &from.scale, 2);
  for (int i = 0; i < 32; i++) {
    step[64 + 128 * (i / 4) + 64 * (g % 2) + 4 * lane + i % 4] = (uint8_t)(from.numbers[i] + 128);
  }
}

void put_four(const Four &from, uint8_t *block, int64_t g, int lane) {
  uint8_t *step = block + g / 2 * INT4_STEP;
  memcpy(step + 32 * (g % 2) + 2 * lane, &from.scale, 2);
  memcpy(step + 64 + 32 * (g % 2) + 2 * lane, &from.minimum, 2);
  for (int i = 0; i < 16; i++) {
    step[128 + 128 * (i / 4) + 64 * (g % 2) + 4 * lane + i % 4] = (uint8_t)(from.numbers[i] | from.numbers[16 + i] << 4);
  }
}

void pack_row(Kind kind, Form form, const uint8_t *row, int64_t columns, float *scratch, uint8_t *block, int lane) {
  const int64_t groups = (columns + 31) / 32;
  if (kind == INT8 && form == Q8_0) {
    for (int64_t g = 0; g < groups; g++) put_eight(from_q8_0(row + 34 * g), block, g, lane);
    return;
  }
  if (kind == INT4 && (form == Q4_0 || form == Q4_1)) {
    for (int64_t g = 0; g < groups; g++) {
      put_four(from_q4(row + (form == Q4_0 ? 18 : 20) * g, form == Q4_1), block, g, lane);
    }
    return;
  }
  row_as_floats(form, row, columns, scratch);
  for (int64_t k = columns; k < 32 * groups; k++) scratch[k] = 0.0f;
  switch (kind) {
    case FLOAT32: for (int64_t k = 0; k < columns; k++) ((float *)block)[16 * k + lane] = scratch[k]; break;
    case FLOAT16: for (int64_t k = 0; k < columns; k++) ((uint16_t *)block)[16 * k + lane] = float_to_half(scratch[k]); break;
    case BFLOAT16:
      for (int64_t k = 0; k < columns; k++) ((uint16_t *)block)[32 * (k / 2) + 2 * lane + k % 2] = float_to_bfloat16(scratch[k]);
      break;
    case INT8: for (int64_t g = 0; g < groups; g++) put_eight(to_eight(scratch + 32 * g), block, g, lane); break;
    default: for (int64_t g = 0; g < groups; g++) put_four(to_four(scratch + 32 * g), block, g, lane); break;
  }
}

struct Packing {
  Kind kind;
  Form form;
  const uint8_t *rows;
  int64_t row_bytes, count, columns;
  uint8_t *out;
  int64_t out_step;
};

void pack_part(void *argument, const Team &team) {
  const Packing &p = *(const Packing *)argument;
  const Range range = part_of((p.count + 15) / 16, team);
  std::vector<float> scratch((p.columns + 31) / 32 * 32);
  for (int64_t b = range.first; b < range.end; b++) {
    memset(p.out + b * p.out_step, 0, block_bytes(p.kind, p.columns));
    for (int lane = 0; lane < 16 && 16 * b + lane < p.count; lane++) {
      pack_row(p.kind, p.form, p.rows + (16 * b + lane) * p.row_bytes, p.columns, scratch.data(), p.out + b * p.out_step, lane);
    }
  }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int64_t kernels_block_bytes(int32_t kind, int64_t columns) {
  return block_bytes(kind, columns);
}

// Rows of `row_bytes` each → blocks, `out_step` bytes from one to the next.
__attribute__((visibility("default"))) void kernels_pack(
    int32_t kind, int32_t form, const uint8_t *rows, int64_t row_bytes, int64_t count, int64_t columns,
    uint8_t *out, int64_t out_step, int32_t threads) {
  Packing packing = {(Kind)kind, (Form)form, rows, row_bytes, count, columns, out, out_step};
  pool_run(threads, pack_part, &packing);
}
}
