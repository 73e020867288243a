// For each 64 columns: 2 × 16 half scales, 2 × 16 half minimums; then four times 16 × 4 bytes of
// the first 32 columns and 16 × 4 of the others; the low four bits are columns 0 … 15 of the 32,
// the high ones 16 … 31. number = scale · (four bits) + minimum
#pragma once
#include "panel.h"

struct Int4 : Grouped {
  static constexpr char NAME[] = "int4";
  static constexpr int STEP_BYTES = 128 + 512;
  static constexpr int NEEDS = BYTES, EXACT_NEEDS = SUMS;
  template <class Form> static constexpr bool keeps = SAME<Form, Q4_0> || SAME<Form, Q4_1>;

  struct Group { uint16_t scale, minimum; uint8_t numbers[32]; };

  static void put(const float *x, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t g = 0; 32 * g < columns; g++) put_group(rounded_group(x + 32 * g), panel, g, lane);
  }

  static void keep(Q4_0, const uint8_t *row, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t g = 0; 32 * g < columns; g++, row += Q4_0::BYTES) {
      // Four bits less 8 is four bits with a minimum of -8 scales.
      const uint16_t scale = half_at(row), minimum = float_to_half(-8.0f * half_to_float(scale));
      put_group(kept_group(scale, minimum, row + 2), panel, g, lane);
    }
  }

  static void keep(Q4_1, const uint8_t *row, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t g = 0; 32 * g < columns; g++, row += Q4_1::BYTES) {
      put_group(kept_group(half_at(row), half_at(row + 2), row + 4), panel, g, lane);
    }
  }

  // Each 32 columns sum in whole numbers, and are then scaled by both scales.
  template <int T>
  static void dot(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const int32_t *fours[T];
    const float *scales[T], *sums[T];
    Floats total[T][2];
    TOKENS(t) {
      const int64_t at = which[t] * x.stride;
      fours[t] = (const int32_t *)(x.bytes + at), scales[t] = x.scales + at / 32, sums[t] = x.rounded_sums + at / 32;
      TIMES(g, 2) total[t][g] = splat(0.0f);
    }
    const Ints low = splat_int(0x0f0f0f0f);
    for (int k = 0; k < columns; k += STEP, w += STEP_BYTES) {
      Ints part[T][2];
      TOKENS(t) TIMES(g, 2) part[t][g] = splat_int(0);
      TIMES(j, 4) TIMES(g, 2) {
        const Ints both = load_ints(w + 128 + 128 * j + 64 * g);
        const Ints first = both & low, second = shift_right<4>(both) & low;
        TOKENS(t) {
          part[t][g] = dot_nibbles(part[t][g], first, fours[t][k / 4 + 8 * g + j]);
          part[t][g] = dot_nibbles(part[t][g], second, fours[t][k / 4 + 8 * g + 4 + j]);
        }
      }
      TIMES(g, 2) {
        const Floats scale = load_half((const uint16_t *)(w + 32 * g));
        const Floats minimum = load_half((const uint16_t *)(w + 64 + 32 * g));
        TOKENS(t) {
          total[t][g] = fma(minimum, splat(sums[t][k / 32 + g]), total[t][g]);
          total[t][g] = fma(to_floats(part[t][g]), scale * splat(scales[t][k / 32 + g]), total[t][g]);
        }
      }
    }
    TOKENS(t) out[t] = total[t][0] + total[t][1];
  }

  template <int T>
  static void exact(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const float *v[T], *sums[T];
    Floats total[T][2];
    TOKENS(t) {
      v[t] = x.values + which[t] * x.stride, sums[t] = x.sums + which[t] * x.stride / 32;
      TIMES(g, 2) total[t][g] = splat(0.0f);
    }
    for (int k = 0; k < columns; k += STEP, w += STEP_BYTES) {
      Floats part[T][2];
      TOKENS(t) TIMES(g, 2) part[t][g] = splat(0.0f);
      for (int j = 0; j < 4; j++) TIMES(g, 2) {
        const Ints eight = load_ints(w + 128 + 128 * j + 64 * g), four = splat_int(15);
        const Floats low[4] = {to_floats(eight & four), to_floats(shift_right<8>(eight) & four),
                               to_floats(shift_right<16>(eight) & four), to_floats(shift_right<24>(eight) & four)};
        const Floats high[4] = {to_floats(shift_right<4>(eight) & four), to_floats(shift_right<12>(eight) & four),
                                to_floats(shift_right<20>(eight) & four), to_floats(shift_right<28>(eight) & four)};
        TIMES(b, 4) TOKENS(t) {
          const float *at = v[t] + k + 32 * g + 4 * j + b;
          part[t][g] = fma(low[b], splat(at[0]), part[t][g]);
          part[t][g] = fma(high[b], splat(at[16]), part[t][g]);
        }
      }
      TIMES(g, 2) {
        const Floats scale = load_half((const uint16_t *)(w + 32 * g));
        const Floats minimum = load_half((const uint16_t *)(w + 64 + 32 * g));
        TOKENS(t) {
          total[t][g] = fma(minimum, splat(sums[t][k / 32 + g]), total[t][g]);
          total[t][g] = fma(part[t][g], scale, total[t][g]);
        }
      }
    }
    TOKENS(t) out[t] = total[t][0] + total[t][1];
  }

 private:
  static Group rounded_group(const float *x) {
    float low = x[0], high = x[0];
    for (int i = 1; i < 32; i++) low = x[i] < low ? x[i] : low, high = x[i] > high ? x[i] : high;
    Group out;
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

  static Group kept_group(uint16_t scale, uint16_t minimum, const uint8_t *bytes) {
    Group out = {scale, minimum, {}};
    for (int i = 0; i < 32; i++) out.numbers[i] = (uint8_t)four_of(bytes, i);
    return out;
  }

  static void put_group(const Group &from, uint8_t *panel, int64_t g, int lane) {
    uint8_t *step = panel + g / 2 * STEP_BYTES;
    memcpy(step + 32 * (g % 2) + 2 * lane, &from.scale, 2);
    memcpy(step + 64 + 32 * (g % 2) + 2 * lane, &from.minimum, 2);
    for (int i = 0; i < 16; i++) {
      step[128 + 128 * (i / 4) + 64 * (g % 2) + 4 * lane + i % 4] = (uint8_t)(from.numbers[i] | from.numbers[16 + i] << 4);
    }
  }
};
