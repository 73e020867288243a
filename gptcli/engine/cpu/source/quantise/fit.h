// The scale, or scale and minimum, with which few levels come nearest to a group of numbers.
//
// For given levels q the best scale and minimum are those of weighted least squares; for a given
// scale and minimum the best q are the nearest. This is Lloyd's alternation ("Least squares
// quantization in PCM", 1982) for levels at equal distances; it finds the best near by, so it
// begins in several places.
#pragma once
#include "lanes.h"

// number ≈ scale · q + minimum; error: Σ weight · (what is left)².
struct Fit {
  Lanes scale, minimum, error;

  void better_of(const Fit &other) {
    const Mask better = other.error < error;
    scale = pick(better, other.scale, scale);
    minimum = pick(better, other.minimum, minimum);
    error = pick(better, other.error, error);
  }
};

// How many steps more than there are the numbers are spread over at first: with more, the furthest
// numbers are cut off; with fewer, the outermost levels are left out. That all whole numbers are
// tried finds numbers again that were made of levels, if not all of these were used.
constexpr float SPREAD[] = {0, -4, -3, -2, -1, -0.5f, 0.5f, 1, 1.5f, 2};
// How long a search looks for better: how many of SPREAD, turns and neighbours it tries.
struct Effort {
  int spreads, turns, near;
};
constexpr Effort THOROUGH = {10, 3, 3}, QUICK = {1, 0, 1};
// What is cut off is above, at both ends, or below.
constexpr float SHARES[] = {0, 0.5f, 1}, SIGNS[] = {-1, 1};

// q in 0 … most.
template <int N>
struct AffineGroup {
  const Lanes *x, *w;
  const float most;
  const bool below;  // whether the minimum must not be above 0
  Lanes sum_w, sum_x, low, high;

  AffineGroup(const Lanes *x, const Lanes *w, float most, bool below) : x(x), w(w), most(most), below(below) {
    sum_w = sum_x = all(0);
    low = high = below ? all(0) : x[0];
    for (int i = 0; i < N; i++) {
      sum_w += w[i], sum_x += w[i] * x[i];
      low = lower(low, x[i]), high = higher(high, x[i]);
    }
  }

  Lanes nearest(Lanes x, Lanes minimum, Lanes inverse) const { return rounded(within((x - minimum) * inverse, 0, most)); }

  // The best scale and minimum for the levels that are nearest with these. Sums are of what these
  // leave: those of the numbers would hide it among their roundings.
  Fit fitted(Lanes scale, Lanes minimum) const {
    const Lanes inverse = inverse_of(scale);
    Lanes q1 = all(0), q2 = all(0), left1 = all(0), left2 = all(0), left_q = all(0);
    for (int i = 0; i < N; i++) {
      const Lanes q = nearest(x[i], minimum, inverse), left = x[i] - minimum - scale * q;
      const Lanes wq = w[i] * q, w_left = w[i] * left;
      q1 += wq, q2 += wq * q, left1 += w_left, left2 += w_left * left, left_q += w_left * q;
    }
    const Lanes square = sum_w * q2 - q1 * q1;
    const Mask alike = square <= 1e-6f * sum_w * q2;  // all q
    Lanes more = pick(alike, all(0), ratio(sum_w * left_q - q1 * left1, square));
    Lanes higher_by = pick(alike, ratio(left1, sum_w), ratio(q2 * left1 - q1 * left_q, square));
    if (below) {
      const Mask above = minimum + higher_by > 0.0f;
      higher_by = pick(above, all(0) - minimum, higher_by);
      more = pick(above, ratio(left_q - higher_by * q1, q2), more);
    }
    const Lanes error = left2 - 2.0f * (more * left_q + higher_by * left1) + more * more * q2 +
                        higher_by * (higher_by * sum_w + 2.0f * more * q1);
    return {scale + more, minimum + higher_by, error};
  }

  // The error of just this scale and minimum.
  Lanes error(Lanes scale, Lanes minimum) const {
    const Lanes inverse = inverse_of(scale);
    Lanes sum = all(0);
    for (int i = 0; i < N; i++) {
      const Lanes left = x[i] - minimum - scale * nearest(x[i], minimum, inverse);
      sum += w[i] * left * left;
    }
    return sum;
  }

  Fit search(Effort effort) const {
    const Lanes span = high - low;
    Fit best = {all(0), ratio(sum_x, sum_w), all(INFINITY)};
    if (below) best.minimum = lower(best.minimum, all(0));
    for (int i = 0; i < effort.spreads; i++) {
      const float more = SPREAD[i], steps = most + more;
      for (float share : SHARES) {
        if (more <= 0 && share > 0) break;
        const Fit first = fitted(span / steps, low + share * more / steps * span);
        best.better_of(first);
        best.better_of(fitted(first.scale, first.minimum));
      }
    }
    best.better_of(fitted(best.scale, best.minimum));
    if (below) {
      // Levels one less with a minimum one step up are as good if the highest is not used. Groups
      // that share the scale of their minimums need to agree on that.
      const Lanes up = lower(best.minimum + best.scale, all(0)), least = 1e-9f * sum_w * span * span;
      const Mask as_good = error(best.scale, up) <= 1.001f * error(best.scale, best.minimum) + least;
      best.minimum = pick(as_good, up, best.minimum);
    }
    return best;
  }
};

// q in -most … most - 1.
struct WholeLevels {
  float most;
  float edge(float more) const { return most + more; }
  Lanes nearest(Lanes x) const { return rounded(within(x, -most, most - 1)); }
};

// The 16 levels of IQ4_NL, which lie closer around 0, as weights do.
struct UnevenLevels {
  static constexpr int8_t LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  static float edge(float more) { return 127 + 4 * more; }
  // Which level, 0 … 15.
  static Lanes index(Lanes x) {
    Lanes which = all(0);
    for (int k = 0; k < 15; k++) which += x > 0.5f * (LEVELS[k] + LEVELS[k + 1]) ? all(1) : all(0);
    return which;
  }
  static Lanes nearest(Lanes x) {
    Lanes level = all(LEVELS[0]);
    for (int k = 0; k < 15; k++) {
      level += x > 0.5f * (LEVELS[k] + LEVELS[k + 1]) ? all((float)(LEVELS[k + 1] - LEVELS[k])) : all(0);
    }
    return level;
  }
};

// Without a minimum, and with a scale of either sign.
template <int N, class Levels>
struct SymmetricGroup {
  const Lanes *x, *w;
  const Levels levels;
  Lanes sum_xx, furthest;

  SymmetricGroup(const Lanes *x, const Lanes *w, Levels levels) : x(x), w(w), levels(levels) {
    sum_xx = all(0), furthest = x[0];
    for (int i = 0; i < N; i++) {
      sum_xx += w[i] * x[i] * x[i];
      furthest = pick(size_of(x[i]) > size_of(furthest), x[i], furthest);
    }
  }

  Fit fitted(Lanes scale) const {
    const Lanes inverse = inverse_of(scale);
    Lanes q2 = all(0), left2 = all(0), left_q = all(0);
    for (int i = 0; i < N; i++) {
      const Lanes q = levels.nearest(x[i] * inverse), left = x[i] - scale * q, w_left = w[i] * left;
      q2 += w[i] * q * q, left2 += w_left * left, left_q += w_left * q;
    }
    const Lanes more = ratio(left_q, q2);
    return {scale + more, all(0), left2 - more * left_q};
  }

  Lanes error(Lanes scale) const {
    const Lanes inverse = inverse_of(scale);
    Lanes sum = all(0);
    for (int i = 0; i < N; i++) {
      const Lanes left = x[i] - scale * levels.nearest(x[i] * inverse);
      sum += w[i] * left * left;
    }
    return sum;
  }

  Fit search(Effort effort) const {
    Fit best = {all(0), all(0), sum_xx};
    for (int i = 0; i < effort.spreads; i++) {
      for (float sign : SIGNS) {
        const Fit first = fitted(furthest / (sign * levels.edge(SPREAD[i])));
        best.better_of(first);
        best.better_of(fitted(first.scale));
      }
    }
    best.better_of(fitted(best.scale));
    return best;
  }
};
