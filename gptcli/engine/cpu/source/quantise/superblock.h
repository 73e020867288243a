// Groups whose scales, and minimums, are whole numbers of one that they share: eight groups of 32
// (Q4_K, Q5_K), or sixteen of 16 (Q6_K). What they share and the whole numbers are found by turns.
#pragma once
#include "fit.h"

constexpr float NEAR[] = {0, -1, 1};

// The number, a half, of which all of x[0 … N - 1] are nearly whole multiples, the furthest at most
// `most` times, in the way that a few that are not count least.
template <int N>
static inline Lanes shared(const Lanes *x, float most, Lanes unit) {
  Lanes top = x[0], best = all(0), error = all(INFINITY);
  for (int j = 1; j < N; j++) top = pick(size_of(x[j]) > size_of(top), x[j], top);
  for (int tries = 0; tries < 32; tries++) {
    const Lanes d = as_half(top / (most < 0 ? most + tries : most - tries), unit), inverse = inverse_of(d);
    Lanes sum = all(0);
    for (int j = 0; j < N; j++) sum += size_of(x[j] - d * rounded(x[j] * inverse));
    const Mask better = sum < error;
    best = pick(better, d, best), error = pick(better, sum, error);
  }
  return best;
}

// q in 0 … MOST; scale = d · (0 … 63), minimum = -e · (0 … 63).
template <int BITS>
struct AffineSuper {
  static constexpr float MOST = (1 << BITS) - 1;
  const Lanes *x, *w, unit;
  const Effort effort;
  Lanes d, e, scales[8], minimums[8], error;  // whole numbers

  AffineSuper(const Lanes *x, const Lanes *w, Lanes unit, Effort effort)
      : x(x), w(w), unit(unit), effort(effort), error(all(INFINITY)) {
    Lanes s[8], m[8];
    for (int j = 0; j < 8; j++) {
      const Fit fit = group(j).search(effort);
      s[j] = fit.scale, m[j] = all(0) - fit.minimum;
    }
    Lanes new_d = shared<8>(s, 63, unit), new_e = shared<8>(m, 63, unit);
    for (int turn = 0; turn <= effort.turns; turn++) {
      Lanes k[8], n[8], sum = all(0);
      for (int j = 0; j < 8; j++) sum += whole(j, new_d, new_e, s[j], m[j], k[j], n[j]);
      const Mask better = sum < error;
      error = pick(better, sum, error), d = pick(better, new_d, d), e = pick(better, new_e, e);
      for (int j = 0; j < 8; j++) {
        scales[j] = pick(better, k[j], scales[j]), minimums[j] = pick(better, n[j], minimums[j]);
      }
      if (turn < effort.turns) refit(new_d, new_e, k, n);
    }
  }

  AffineGroup<32> group(int j) const { return AffineGroup<32>(x + 32 * j, w + 32 * j, MOST, true); }

  Lanes nearest(int i) const {
    const int j = i / 32;
    return rounded(within((x[i] + e * minimums[j]) * inverse_of(d * scales[j]), 0, MOST));
  }

 private:
  // The whole numbers near s / d and m / e that leave the least error, which is what comes back.
  Lanes whole(int j, Lanes d, Lanes e, Lanes s, Lanes m, Lanes &k, Lanes &n) const {
    Lanes best = all(INFINITY);
    const Lanes first_k = rounded(within(ratio(s, d), 0, 63)), first_n = rounded(within(ratio(m, e), 0, 63));
    k = n = all(0);
    for (int at = 0; at < effort.near; at++) {
      const Lanes try_k = within(first_k + NEAR[at], 0, 63), step = d * try_k, inverse = inverse_of(step);
      Lanes try_n = first_n;
      for (int again = 0; again < 2; again++) {
        const Lanes minimum = e * try_n;
        Lanes sum = all(0), off = all(0), sum_w = all(0);
        for (int i = 32 * j; i < 32 * j + 32; i++) {
          const Lanes q = rounded(within((x[i] + minimum) * inverse, 0, MOST)), left = x[i] + minimum - step * q;
          sum += w[i] * left * left, off += w[i] * left, sum_w += w[i];
        }
        const Mask better = sum < best;
        best = pick(better, sum, best), k = pick(better, try_k, k), n = pick(better, try_n, n);
        // The minimum that is best for these q.
        try_n = rounded(within(ratio(minimum - ratio(off, sum_w), e), 0, 63));
      }
    }
    return best;
  }

  // The d and e that are best for these whole numbers and the q that are nearest with them.
  void refit(Lanes &d, Lanes &e, const Lanes *k, const Lanes *n) const {
    Lanes dd = all(0), de = all(0), ee = all(0), xd = all(0), xe = all(0);
    for (int j = 0; j < 8; j++) {
      const Lanes minimum = e * n[j], inverse = inverse_of(d * k[j]);
      for (int i = 32 * j; i < 32 * j + 32; i++) {
        const Lanes q = k[j] * rounded(within((x[i] + minimum) * inverse, 0, MOST)), wq = w[i] * q, wn = w[i] * n[j];
        dd += wq * q, de += wq * n[j], ee += wn * n[j], xd += wq * x[i], xe += wn * x[i];
      }
    }
    // least Σ w · (x - d·q + e·n)²
    const Lanes square = dd * ee - de * de;
    const Mask alike = square <= 1e-6f * dd * ee;
    const Lanes new_d = pick(alike, ratio(xd, dd), ratio(xd * ee - xe * de, square));
    const Lanes new_e = pick(alike, e, ratio(xd * de - xe * dd, square));
    d = as_half(pick(new_d > 0.0f, new_d, d), unit), e = as_half(pick(new_e > 0.0f, new_e, e), unit);
  }
};

// q in -32 … 31; scale = d · (-128 … 127).
struct SymmetricSuper {
  static constexpr WholeLevels LEVELS = {32};
  const Lanes *x, *w, unit;
  const Effort effort;
  Lanes d, scales[16], error;

  SymmetricSuper(const Lanes *x, const Lanes *w, Lanes unit, Effort effort)
      : x(x), w(w), unit(unit), effort(effort), error(all(INFINITY)) {
    Lanes s[16];
    for (int j = 0; j < 16; j++) s[j] = group(j).search(effort).scale;
    Lanes new_d = shared<16>(s, -128, unit);
    for (int turn = 0; turn <= effort.turns; turn++) {
      Lanes k[16], sum = all(0), dd = all(0), xd = all(0);
      for (int j = 0; j < 16; j++) {
        sum += whole(j, new_d, s[j], k[j]);
        const Lanes inverse = inverse_of(new_d * k[j]);
        for (int i = 16 * j; i < 16 * j + 16; i++) {
          const Lanes q = k[j] * LEVELS.nearest(x[i] * inverse), wq = w[i] * q;
          dd += wq * q, xd += wq * x[i];
        }
      }
      const Mask better = sum < error;
      error = pick(better, sum, error), d = pick(better, new_d, d);
      for (int j = 0; j < 16; j++) scales[j] = pick(better, k[j], scales[j]);
      new_d = as_half(ratio(xd, dd), unit);
    }
  }

  SymmetricGroup<16, WholeLevels> group(int j) const { return SymmetricGroup<16, WholeLevels>(x + 16 * j, w + 16 * j, LEVELS); }

  Lanes nearest(int i) const { return LEVELS.nearest(x[i] * inverse_of(d * scales[i / 16])); }

 private:
  Lanes whole(int j, Lanes d, Lanes s, Lanes &k) const {
    Lanes best = all(INFINITY);
    const Lanes first = rounded(within(ratio(s, d), -128, 127));
    k = all(0);
    for (int at = 0; at < effort.near; at++) {
      const Lanes try_k = within(first + NEAR[at], -128, 127), sum = group(j).error(d * try_k);
      const Mask better = sum < best;
      best = pick(better, sum, best), k = pick(better, try_k, k);
    }
    return best;
  }
};
