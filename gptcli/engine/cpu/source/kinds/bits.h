// Codes of a few bits: how those of 16 rows and 32 columns, a chunk, stand in a panel.
//
// code<V>(chunk): of vectors 0 … 7 of unsigned bytes, four to a lane, one; vectors 2 m and 2 m + 1 are
// columns 8 m … 8 m + 7 in CODE_ORDER. pair<I>(chunk): of vectors 0 … 15 of 16-bit numbers, two to a
// lane, one: columns 2 I and 2 I + 1. put(codes, chunk, lane): 32 codes, as in_code_order has them.
#pragma once
#include "panel.h"

// Eight codes, column by column, in CODE_ORDER: those of the second four between those of the first.
static inline uint64_t in_code_order(const uint8_t *codes) {
  uint64_t spread[2];
  for (int i = 0; i < 2; i++) {
    uint32_t four;
    memcpy(&four, codes + 4 * i, 4);
    spread[i] = (four | (uint64_t)four << 16) & 0x0000ffff0000ffffu;
    spread[i] = (spread[i] | spread[i] << 8) & 0x00ff00ff00ff00ffu;
  }
  return spread[0] | spread[1] << 8;
}

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

// What a pair is raised by where it is taken as it stands: each fourth alike, see Bits::raised.
constexpr int raised_by(int i) { return i % 4 < 3 ? 4 * (i % 4) : 0; }

// N bits: those of 8 / N following vectors share bytes, the first the lowest of each.
template <int N>
struct Bits {
  static constexpr int SHARING = 8 / N, BYTES = 512 / SHARING, BITS = N, LOW = N;
  // FROM: the lowest of their bits.
  template <int FROM = 0>
  static void put(const uint64_t *codes, uint8_t *chunk, int lane) {
    uint32_t shared[8 / SHARING] = {};
    for (int m = 0; m < 4; m++) {
      const uint64_t eight = codes[m] >> FROM & 0x0101010101010101u * ((1 << N) - 1);
      for (int i = 0; i < 2; i++) shared[(2 * m + i) / SHARING] |= (uint32_t)(eight >> 32 * i) << N * ((2 * m + i) % SHARING);
    }
    for (int j = 0; j < 8 / SHARING; j++) memcpy(chunk + 64 * j + 4 * lane, &shared[j], 4);
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
  // Of four bits, pair I times 2^raised_by(I), for half of the work: it stays where it stands.
  template <int I> static Ints raised(const uint8_t *chunk) {
    constexpr int vector = vector_of_pair(I), at = 4 * (vector % 2) + (odd_pair(I) ? 8 : 0);
    static_assert(at == 4 * (I % 4), "");
    const Ints all = load_ints(chunk + 64 * (vector / 2));
    if constexpr (at == 12) return shift_halves_right<12>(all);
    else return of_halves<4, at, at>(all);
  }
};

// The low N bits of a code, and behind them the M others.
template <int N, int M>
struct Joined {
  using Low = Bits<N>;
  using High = Bits<M>;
  static constexpr int BYTES = Low::BYTES + High::BYTES, BITS = N + M, LOW = N;
  static void put(const uint64_t *codes, uint8_t *chunk, int lane) {
    Low::put(codes, chunk, lane);
    High::template put<N>(codes, chunk + Low::BYTES, lane);
  }
  template <int V> static Ints code(const uint8_t *chunk) {
    return Low::template code<V>(chunk) | High::template code<V, N>(chunk + Low::BYTES);
  }
  template <int I> static Ints pair(const uint8_t *chunk) {
    return Low::template pair<I>(chunk) | High::template pair<I, N>(chunk + Low::BYTES);
  }
  template <int I> static Ints raised(const uint8_t *chunk) {
    return Low::template raised<I>(chunk) | High::template pair<I, N + raised_by(I)>(chunk + Low::BYTES);
  }
};
