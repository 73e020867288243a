// For each pair of columns: 16 × (even, odd).
#pragma once
#include "panel.h"

struct BFloat16 : Plain<BFloat16> {
  static constexpr char NAME[] = "bfloat16";
  static constexpr int STEP = 8, STEP_BYTES = STEP * 32;

  static float number(const uint8_t *panel, int k, int lane) {
    return bfloat16_to_float(((const uint16_t *)panel)[32 * (k / 2) + 2 * lane + k % 2]);
  }

  // A lane holds an even column in its low half, an odd one in its high.
  static Floats even_of(Ints both) { return as_floats(shift_left<16>(both)); }
  static Floats odd_of(Ints both) { return as_floats(both & splat_int((int32_t)0xffff0000)); }

  static void put(const float *x, int64_t columns, uint8_t *panel, int lane) {
    for (int64_t k = 0; k < columns; k++) ((uint16_t *)panel)[32 * (k / 2) + 2 * lane + k % 2] = float_to_bfloat16(x[k]);
  }

  static constexpr bool WITH_FLOATS = true;
  static const float *floats_from(const uint8_t *panel, int k, int columns, float *room) {
    for (int i = 0; i < columns; i += 2) {
      const Ints both = load_ints(panel + 32 * (k + i));
      store(room + 16 * i, even_of(both)), store(room + 16 * i + 16, odd_of(both));
    }
    return room;
  }

  template <int T>
  static void with_floats(const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const float *v[T];
    Floats total[T][CHAINS];
    TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(c, CHAINS) total[t][c] = splat(0.0f); }
    for (int k = 0; k < columns; k += CHAINS, panel += 32 * CHAINS) {
      TIMES(c, CHAINS / 2) {
        const Ints both = load_ints(panel + 64 * c);
        const Floats even = even_of(both), odd = odd_of(both);
        TOKENS(t) {
          total[t][2 * c] = fma(even, splat(v[t][k + 2 * c]), total[t][2 * c]);
          total[t][2 * c + 1] = fma(odd, splat(v[t][k + 2 * c + 1]), total[t][2 * c + 1]);
        }
      }
    }
    TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
  }

#ifdef HAS_BFLOAT16_PAIRS
  static int needs(int32_t met) { return met == MET_FLOATS ? NOTHING : HALVES; }

  // The activations are rounded to bfloat16, and multiplied two columns at a time.
  template <int T>
  static void with_halves(const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
    const int32_t *pairs[T];
    Floats total[T][CHAINS];
    TOKENS(t) {
      pairs[t] = (const int32_t *)(x.halves + which[t] * x.stride);
      TIMES(c, CHAINS) total[t][c] = splat(0.0f);
    }
    for (int k = 0; k < columns; k += 2 * CHAINS, panel += 64 * CHAINS) {
      TIMES(c, CHAINS) {
        const Ints weights = load_ints(panel + 64 * c);
        TOKENS(t) total[t][c] = dot_halves(total[t][c], weights, splat_int(pairs[t][k / 2 + c]));
      }
    }
    TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
  }
#else
  static int needs(int32_t) { return NOTHING; }
#endif

  template <int T>
  static void dot(int32_t met, const uint8_t *panel, int columns, const Reading &x, const int32_t *which, Floats *out) {
#ifdef HAS_BFLOAT16_PAIRS
    if (met != MET_FLOATS) return with_halves<T>(panel, columns, x, which, out);
#endif
    with_floats<T>(panel, columns, x, which, out);
  }
};
