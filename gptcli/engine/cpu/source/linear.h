// Sixteen rows of weights times some tokens, for each kind of weights; F.linear made of that.
#pragma once
#include "pack.h"

// `which` are the rows of the reading that T tokens have. Each token's sums are made in the same
// order whatever T is, so a token gives the same numbers alone and among others.
#define TOKENS(t) _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)
#define TIMES(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)

template <int T>
static void dot_float32(const uint8_t *block, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const float *w = (const float *)block, *v[T];
  Floats total[T][CHAINS];
  TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(c, CHAINS) total[t][c] = splat(0.0f); }
  for (int k = 0; k < columns; k += CHAINS, w += 16 * CHAINS) {
    TIMES(c, CHAINS) {
      const Floats weights = load(w + 16 * c);
      TOKENS(t) total[t][c] = fma(weights, splat(v[t][k + c]), total[t][c]);
    }
  }
  TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
}

template <int T>
static void dot_float16(const uint8_t *block, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const uint16_t *w = (const uint16_t *)block;
  const float *v[T];
  Floats total[T][CHAINS];
  TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(c, CHAINS) total[t][c] = splat(0.0f); }
  for (int k = 0; k < columns; k += CHAINS, w += 16 * CHAINS) {
    TIMES(c, CHAINS) {
      const Floats weights = load_half(w + 16 * c);
      TOKENS(t) total[t][c] = fma(weights, splat(v[t][k + c]), total[t][c]);
    }
  }
  TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
}

template <int T>
static void dot_bfloat16(const uint8_t *block, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const float *v[T];
  Floats total[T][CHAINS];
  TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(c, CHAINS) total[t][c] = splat(0.0f); }
  for (int k = 0; k < columns; k += CHAINS, block += 32 * CHAINS) {
    TIMES(c, CHAINS / 2) {  // a lane holds an even column in its low half, an odd one in its high
      const Ints both = load_ints(block + 64 * c);
      const Floats even = as_floats(shift_left<16>(both));
      const Floats odd = as_floats(both & splat_int((int32_t)0xffff0000));
      TOKENS(t) {
        total[t][2 * c] = fma(even, splat(v[t][k + 2 * c]), total[t][2 * c]);
        total[t][2 * c + 1] = fma(odd, splat(v[t][k + 2 * c + 1]), total[t][2 * c + 1]);
      }
    }
  }
  TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
}

#ifdef HAS_BFLOAT16_PAIRS
// The same with the activations rounded to bfloat16, two columns at a time.
template <int T>
static void dot_bfloat16_pairs(const uint8_t *block, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const int32_t *pairs[T];
  Floats total[T][CHAINS];
  TOKENS(t) {
    pairs[t] = (const int32_t *)(x.halves + which[t] * x.stride);
    TIMES(c, CHAINS) total[t][c] = splat(0.0f);
  }
  for (int k = 0; k < columns; k += 2 * CHAINS, block += 64 * CHAINS) {
    TIMES(c, CHAINS) {
      const Ints weights = load_ints(block + 64 * c);
      TOKENS(t) total[t][c] = dot_pairs(total[t][c], weights, pairs[t][k / 2 + c]);
    }
  }
  TOKENS(t) { out[t] = total[t][0]; TIMES(c, CHAINS - 1) out[t] = out[t] + total[t][c + 1]; }
}
#endif

// Each 32 columns sum in whole numbers, and are then scaled by both scales.
template <int T>
static void dot_int8(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const int32_t *fours[T], *starts[T];
  const float *scales[T];
  Floats total[T][2];
  TOKENS(t) {
    const int64_t at = which[t] * x.stride;
    fours[t] = (const int32_t *)(x.bytes + at), starts[t] = x.starts + at / 32, scales[t] = x.scales + at / 32;
    TIMES(g, 2) total[t][g] = splat(0.0f);
  }
  for (int k = 0; k < columns; k += 64, w += INT8_STEP) {
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
static void dot_int4(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const int32_t *fours[T];
  const float *scales[T], *sums[T];
  Floats total[T][2];
  TOKENS(t) {
    const int64_t at = which[t] * x.stride;
    fours[t] = (const int32_t *)(x.bytes + at), scales[t] = x.scales + at / 32, sums[t] = x.sums + at / 32;
    TIMES(g, 2) total[t][g] = splat(0.0f);
  }
  const Ints low = splat_int(0x0f0f0f0f);
  for (int k = 0; k < columns; k += 64, w += INT4_STEP) {
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

// The same weights, met by the activations as they are.
template <int T>
static void dot_int8_exact(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const float *v[T];
  Floats total[T][2];
  TOKENS(t) { v[t] = x.values + which[t] * x.stride; TIMES(g, 2) total[t][g] = splat(0.0f); }
  for (int k = 0; k < columns; k += 64, w += INT8_STEP) {
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

template <int T>
static void dot_int4_exact(const uint8_t *w, int columns, const Reading &x, const int32_t *which, Floats *out) {
  const float *v[T], *sums[T];
  Floats total[T][2];
  TOKENS(t) {
    v[t] = x.values + which[t] * x.stride, sums[t] = x.sums + which[t] * x.stride / 32;
    TIMES(g, 2) total[t][g] = splat(0.0f);
  }
  for (int k = 0; k < columns; k += 64, w += INT4_STEP) {
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
#undef TOKENS
#undef TIMES
