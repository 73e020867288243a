// Codes of a few bits: how those of 16 rows and 32 columns, a chunk, stand in a panel.
//
// code<V>(chunk): of vectors 0 … 7 of unsigned bytes, four to a lane, one; vectors 2 m and 2 m + 1 are
// columns 8 m … 8 m + 7 in CODE_ORDER. pair<I>(chunk): of vectors 0 … 15 of 16-bit numbers, two to a
// lane, one: columns 2 I and 2 I + 1. put(codes, chunk, lane): 32 codes, column by column.
#pragma once
#include "panel.h"

// The columns that byte `at`, of eight that belong together, stands for.
static inline int column_of(int vector, int at) { return 8 * (vector / 2) + CODE_ORDER[4 * (vector % 2) + at]; }

// The vector of codes that has pair I in it, and whether in its odd bytes.
constexpr int vector_of_pair(int i) { return 2 * (i / 4) + i % 2; }
constexpr bool odd_pair(int i) { return i % 4 > 1; }

// N bits of each lane, of each half of it, or of each byte: from bit AT on, to bit TO on.
template <int AT, int TO> static inline Ints moved(Ints x) {
  if constexpr (AT < TO) return shift_left<TO - AT>(x);
  else return shift_right<AT - TO>(x);
}
template <int N, int AT, int TO = 0> static inline Ints of_lanes(Ints x) { return moved<AT, TO>(x) & splat_int(((1 << N) - 1) << TO); }
template <int N, int AT, int TO> static inline Ints of_halves(Ints x) { return moved<AT, TO>(x) & splat_int((((1 << N) - 1) << TO) * 0x00010001); }
template <int N, int AT, int TO> static inline Ints of_bytes(Ints x) { return moved<AT, TO>(x) & splat_int((((1 << N) - 1) << TO) * 0x01010101); }

// N bits: those of 8 / N following vectors share bytes, the first the lowest of each.
template <int N>
struct Bits {
  static constexpr int SHARING = 8 / N, BYTES = 512 / SHARING;
  static void put(const uint8_t *codes, uint8_t *chunk, int lane) {
    for (int j = 0; j < 8 / SHARING; j++) for (int at = 0; at < 4; at++) {
      int byte = 0;
      for (int i = 0; i < SHARING; i++) byte |= (codes[column_of(SHARING * j + i, at)] & ((1 << N) - 1)) << N * i;
      chunk[64 * j + 4 * lane + at] = (uint8_t)byte;
    }
  }
  // TO: the bit that the lowest of them become.
  template <int V, int TO = 0> static Ints code(const uint8_t *chunk) {
    const Ints all = load_ints(chunk + 64 * (V / SHARING));
    if constexpr (N == 8) return all;
    else return of_bytes<N, N *(V % SHARING), TO>(all);
  }
  template <int I, int TO = 0> static Ints pair(const uint8_t *chunk) {
    constexpr int vector = vector_of_pair(I);
    return of_halves<N, N *(vector % SHARING) + (odd_pair(I) ? 8 : 0), TO>(load_ints(chunk + 64 * (vector / SHARING)));
  }
};

// The low N bits of a code, and behind them the M others.
template <int N, int M>
struct Joined {
  using Low = Bits<N>;
  using High = Bits<M>;
  static constexpr int BYTES = Low::BYTES + High::BYTES;
  static void put(const uint8_t *codes, uint8_t *chunk, int lane) {
    uint8_t high[32];
    for (int i = 0; i < 32; i++) high[i] = codes[i] >> N;
    Low::put(codes, chunk, lane);
    High::put(high, chunk + Low::BYTES, lane);
  }
  template <int V> static Ints code(const uint8_t *chunk) {
    return Low::template code<V>(chunk) | High::template code<V, N>(chunk + Low::BYTES);
  }
  template <int I> static Ints pair(const uint8_t *chunk) {
    return Low::template pair<I>(chunk) | High::template pair<I, N>(chunk + Low::BYTES);
  }
};
