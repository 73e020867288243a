// For each 64 columns: 16 half scales of the first 32, 16 of the others; then eight times 16 × 4
// bytes of the first 32 columns and 16 × 4 of the others. number = scale · (byte - 128)
#pragma once
#include "panel.h"

struct Int8 : Grouped {
  static constexpr char NAME[] = "int8";
  static constexpr int STEP_BYTES = 64 + 1024;
  static constexpr int NEEDS = BYTES, EXACT_NEEDS = NOTHING;
  template <class Form> static constexpr bool keeps = SAME<Form, Q8_0>;

  struct Group { uint16_t scale; int8_t numbers[32]; };

  static void put(const float *x, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t g = 0; 32 * g < columns; g++) put_group(rounded_group(x + 32 * g), panel, g, lane);
  }

  static void keep(Q8_0, const uint8_t *row, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t g = 0; 32 * g < columns; g++, row += Q8_0::BYTES) {
      Group group;
      group.scale = half_at(row);
      memcpy(group.numbers, row + 2, 32);
      put_group(group, panel, g, lane);
    }
  }

  // Each 32 columns sum in whole numbers, and are then scaled by both scales.
  template <int T>
  static void dot(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const int32_t *fours[T], *starts[T];
    const float *scales[T];
    Floats total[T][2];
    TOKENS(t) {
      const int64_t at = which[t] * x.stride;
      fours[t] = (const int32_t *)(x.bytes + at), starts[t] = x.starts + at / 32, scales[t] = x.scales + at / 32;
      TIMES(g, 2) total[t][g] = splat(0.0f);
    }
    for (int k = 0; k < columns; k += STEP, w += STEP_BYTES) {
      Ints part[T][2];
      TOKENS(t) TIMES(g, 2) part[t][g] = splat_int(starts[t][k / 32 + g]);
      TIMES(j, 8) TIMES(g, 2) {
        const Ints weights = load_ints(w + 64 + 128 * j + 64 * g);
        TOKENS(t) part[t][g] = dot_bytes(part[t][g], weights, fours[t][k / 4 + 8 * g + j]);
      }
      TIMES(g, 2) {
        const Floats scale = load_half((const uint16_t *)(w + 32 * g));
        TOKENS(t) total[t][g] = fma(to_floats(part[t][g]), scale * splat(scales[t][k / 32 + g]), total[t][g]);
      }
    }
    TOKENS(t) out[t] = total[t][0] + total[t][1];
  }

  template <int T>
  static void exact(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const float *v[T];
    Floats total[T][2];
    TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(g, 2) total[t][g] = splat(0.0f); }
    for (int k = 0; k < columns; k += STEP, w += STEP_BYTES) {
      Floats part[T][2];
      TOKENS(t) TIMES(g, 2) part[t][g] = splat(0.0f);
      for (int j = 0; j < 8; j++) TIMES(g, 2) {
        const Ints four = load_ints(w + 64 + 128 * j + 64 * g), byte = splat_int(255), zero = splat_int(-128);
        const Floats each[4] = {to_floats((four & byte) + zero), to_floats((shift_right<8>(four) & byte) + zero),
                                to_floats((shift_right<16>(four) & byte) + zero), to_floats(shift_right<24>(four) + zero)};
        TIMES(b, 4) TOKENS(t) part[t][g] = fma(each[b], splat(v[t][k + 32 * g + 4 * j + b]), part[t][g]);
      }
      TIMES(g, 2) {
        const Floats scale = load_half((const uint16_t *)(w + 32 * g));
        TOKENS(t) total[t][g] = fma(part[t][g], scale, total[t][g]);
      }
    }
    TOKENS(t) out[t] = total[t][0] + total[t][1];
  }

 private:
  static Group rounded_group(const float *x) {
    float largest = 0.0f;
    for (int i = 0; i < 32; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    Group out;
    out.scale = float_to_half(largest / 127.0f);
    const float scale = half_to_float(out.scale), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    for (int i = 0; i < 32; i++) {
      const float n = rintf(x[i] * inverse);
      out.numbers[i] = (int8_t)(n < -127.0f ? -127.0f : n > 127.0f ? 127.0f : n);
    }
    return out;
  }

  static void put_group(const Group &from, uint8_t *panel, int64_t g, int lane) {
    uint8_t *step = panel + g / 2 * STEP_BYTES;
    memcpy(step + 32 * (g % 2) + 2 * lane, &from.scale, 2);
    for (int i = 0; i < 32; i++) {
      step[64 + 128 * (i / 4) + 64 * (g % 2) + 4 * lane + i % 4] = (uint8_t)(from.numbers[i] + 128);
    }
  }
};
