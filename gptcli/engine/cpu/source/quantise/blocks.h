// ggml's blocks: how what was found lies in their bytes. formats/ggml_blocks.py describes these.
//
// A block is a struct with NAME, NUMBERS, BYTES and put(x, w, unit, effort, out): WIDE blocks at once, of numbers
// in units of `unit` with their weights, to where `out` says. What comes back is the error that
// is left, Σ weight · (what is left)², in units of unit².
#pragma once
#include "superblock.h"

static inline void put_half(uint8_t *to, float x) {
  const uint16_t half = float_to_half(x);
  memcpy(to, &half, 2);
}
// 32 numbers of 0 … 31: their low four bits, i and i + 16 in a byte; their fifths.
static inline void put_fours(uint8_t *to, const Lanes *q, int lane) {
  for (int i = 0; i < 16; i++) to[i] = (uint8_t)(((int)q[i][lane] & 15) | ((int)q[16 + i][lane] & 15) << 4);
}
static inline void put_fifths(uint8_t *to, const Lanes *q, int lane) {
  for (int b = 0; b < 4; b++) to[b] = 0;
  for (int i = 0; i < 32; i++) to[i / 8] |= (uint8_t)(((int)q[i][lane] >> 4) << i % 8);
}

template <int BITS>
struct SymmetricBlock {
  static constexpr const char *NAME = BITS == 8 ? "q8_0" : BITS == 5 ? "q5_0" : "q4_0";
  static constexpr int NUMBERS = 32, BYTES = BITS == 8 ? 34 : BITS == 5 ? 22 : 18;
  static constexpr WholeLevels LEVELS = {1 << (BITS - 1)};

  static Lanes put(const Lanes *x, const Lanes *w, Lanes unit, Effort effort, uint8_t *const *out) {
    const SymmetricGroup<32, WholeLevels> group(x, w, LEVELS);
    Fit best = in_halves(group, group.search(effort).scale, unit);
    for (float sign : SIGNS) {
      best.better_of(in_halves(group, group.furthest / (sign * LEVELS.most), unit));
      best.better_of(in_halves(group, group.furthest / (sign * (LEVELS.most - 1)), unit));
    }
    const Lanes scale = best.scale, inverse = inverse_of(scale);
    Lanes q[32];
    for (int i = 0; i < 32; i++) q[i] = LEVELS.nearest(x[i] * inverse) + (BITS == 8 ? 0 : LEVELS.most);
    for (int lane = 0; lane < WIDE; lane++) {
      put_half(out[lane], scale[lane] * unit[lane]);
      if (BITS == 8) {
        for (int i = 0; i < 32; i++) out[lane][2 + i] = (uint8_t)(int8_t)q[i][lane];
      } else {
        if (BITS == 5) put_fifths(out[lane] + 2, q, lane);
        put_fours(out[lane] + BYTES - 16, q, lane);
      }
    }
    return best.error;
  }

 private:
  // As a scale is kept. What is best before may not be afterwards.
  static Fit in_halves(const SymmetricGroup<32, WholeLevels> &group, Lanes scale, Lanes unit) {
    const Lanes half = as_half(scale, unit);
    return {half, all(0), group.error(half)};
  }
};

struct UnevenBlock {
  static constexpr const char *NAME = "iq4_nl";
  static constexpr int NUMBERS = 32, BYTES = 18;

  static Lanes put(const Lanes *x, const Lanes *w, Lanes unit, Effort effort, uint8_t *const *out) {
    const SymmetricGroup<32, UnevenLevels> group(x, w, {});
    const Lanes scale = as_half(group.search(effort).scale, unit), inverse = inverse_of(scale);
    Lanes q[32];
    for (int i = 0; i < 32; i++) q[i] = UnevenLevels::index(x[i] * inverse);
    for (int lane = 0; lane < WIDE; lane++) {
      put_half(out[lane], scale[lane] * unit[lane]);
      put_fours(out[lane] + 2, q, lane);
    }
    return group.error(scale);
  }
};

template <int BITS>
struct AffineBlock {
  static constexpr const char *NAME = BITS == 5 ? "q5_1" : "q4_1";
  static constexpr int NUMBERS = 32, BYTES = BITS == 5 ? 24 : 20;

  static Lanes put(const Lanes *x, const Lanes *w, Lanes unit, Effort effort, uint8_t *const *out) {
    const AffineGroup<32> group(x, w, (1 << BITS) - 1, false);
    Fit best = in_halves(group, group.search(effort), unit);
    best.better_of(in_halves(group, {(group.high - group.low) / group.most, group.low, all(0)}, unit));
    const Lanes scale = best.scale, minimum = best.minimum, inverse = inverse_of(scale);
    Lanes q[32];
    for (int i = 0; i < 32; i++) q[i] = group.nearest(x[i], minimum, inverse);
    for (int lane = 0; lane < WIDE; lane++) {
      put_half(out[lane], scale[lane] * unit[lane]);
      put_half(out[lane] + 2, minimum[lane] * unit[lane]);
      if (BITS == 5) put_fifths(out[lane] + 4, q, lane);
      put_fours(out[lane] + BYTES - 16, q, lane);
    }
    return best.error;
  }

 private:
  static Fit in_halves(const AffineGroup<32> &group, const Fit &fit, Lanes unit) {
    const Lanes scale = as_half(fit.scale, unit), minimum = as_half(fit.minimum, unit);
    return {scale, minimum, group.error(scale, minimum)};
  }
};

template <int BITS>
struct AffineSuperBlock {
  static constexpr const char *NAME = BITS == 5 ? "q5_k" : "q4_k";
  static constexpr int NUMBERS = 256, BYTES = BITS == 5 ? 176 : 144;

  static Lanes put(const Lanes *x, const Lanes *w, Lanes unit, Effort effort, uint8_t *const *out) {
    const AffineSuper<BITS> found(x, w, unit, effort);
    Lanes q[256];
    for (int i = 0; i < 256; i++) q[i] = found.nearest(i);
    for (int lane = 0; lane < WIDE; lane++) {
      uint8_t *to = out[lane];
      memset(to, 0, BYTES);
      put_half(to, found.d[lane] * unit[lane]);
      put_half(to + 2, found.e[lane] * unit[lane]);
      for (int j = 0; j < 4; j++) {
        const int k = (int)found.scales[j][lane], late_k = (int)found.scales[j + 4][lane];
        const int n = (int)found.minimums[j][lane], late_n = (int)found.minimums[j + 4][lane];
        to[4 + j] = (uint8_t)(k | late_k >> 4 << 6);
        to[8 + j] = (uint8_t)(n | late_n >> 4 << 6);
        to[12 + j] = (uint8_t)((late_k & 15) | (late_n & 15) << 4);
      }
      for (int i = 0; i < 256; i++) {
        const int number = (int)q[i][lane];
        to[BYTES - 128 + i / 64 * 32 + i % 32] |= (uint8_t)((number & 15) << i / 32 % 2 * 4);
        if (BITS == 5) to[16 + i % 32] |= (uint8_t)(number >> 4 << i / 32);
      }
    }
    return found.error;
  }
};

struct SymmetricSuperBlock {
  static constexpr const char *NAME = "q6_k";
  static constexpr int NUMBERS = 256, BYTES = 210;

  static Lanes put(const Lanes *x, const Lanes *w, Lanes unit, Effort effort, uint8_t *const *out) {
    const SymmetricSuper found(x, w, unit, effort);
    Lanes q[256];
    for (int i = 0; i < 256; i++) q[i] = found.nearest(i) + 32.0f;
    for (int lane = 0; lane < WIDE; lane++) {
      uint8_t *to = out[lane];
      memset(to, 0, BYTES);
      for (int i = 0; i < 256; i++) {
        const int number = (int)q[i][lane], within_half = i % 128;
        to[i / 128 * 64 + i % 64] |= (uint8_t)((number & 15) << within_half / 64 * 4);
        to[128 + i / 128 * 32 + i % 32] |= (uint8_t)(number >> 4 << within_half / 32 * 2);
      }
      for (int j = 0; j < 16; j++) to[192 + j] = (uint8_t)(int8_t)found.scales[j][lane];
      put_half(to + 208, found.d[lane] * unit[lane]);
    }
    return found.error;
  }
};
