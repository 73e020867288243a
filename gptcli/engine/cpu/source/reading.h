// What a matrix reads: rows of floats, normed where the model says so, rounded as its kind needs them.
#pragma once

static inline void take(const float *from, const int32_t *order, int n, float *to) {
  for (int k = 0; k < n; k++) to[k] = from[order[k]];
}

// make(reading, row) for each of `count` rows, shared out; all see all of them afterwards. A
// single row every thread makes for itself, which takes less time than to wait for another, where
// there is memory for that.
template <class Make>
static Reading made(const Step &s, const Team &team, int count, int64_t stride, Make make) {
  const bool own = count == 1 && s.own_readings;
  Reading reading = own ? s.scratch[team.index].reading : s.common;
  reading.stride = stride;
  if (own) {
    make(reading, 0);
    return reading;
  }
  const Range rows = part_of(count, team);
  for (int64_t row = rows.first; row < rows.end; row++) make(reading, row);
  team.wait();
  return reading;
}

// norm(x), or x itself where there is no norm. which: the rows of x to take, or null for the first.
// order: that of the matrices that read it, or null.
static Reading read_normed(const Step &s, const Team &team, const float *x, const int32_t *which,
                           int count, Norm norm, const int32_t *order, int needs) {
  const Model &m = *s.model;
  return made(s, team, count, s.width_stride, [&](Reading &to, int64_t row) {
    const float *from = x + (which ? which[row] : row) * s.width_stride;
    float *values = to.values + row * to.stride;
    if (norm.weight && order) normalise_in_order(from, values, m.width, norm, m.layernorm, m.eps, order);
    else if (norm.weight) normalise(from, values, m.width, norm, m.layernorm, m.eps);
    else if (order) take(from, order, m.width, values);
    else memcpy(values, from, m.width * sizeof(float));
    memset(values + m.width, 0, (to.stride - m.width) * sizeof(float));
    round_row(to, row, m.width, needs);
  });
}

// x as it is, or in that order.
static Reading read_as_is(const Step &s, const Team &team, float *x, int count, int columns,
                          int64_t stride, const int32_t *order, int needs) {
  if (order) {
    return made(s, team, count, stride, [&](Reading &to, int64_t row) {
      float *values = to.values + row * to.stride;
      take(x + row * stride, order, columns, values);
      memset(values + columns, 0, (to.stride - columns) * sizeof(float));
      round_row(to, row, columns, needs);
    });
  }
  if (needs == NOTHING) {
    Reading reading = s.common;
    reading.values = x, reading.stride = stride;
    return reading;
  }
  Reading reading = made(s, team, count, stride, [&](Reading &to, int64_t row) {
    Reading from = to;
    from.values = x;
    round_row(from, row, columns, needs);
  });
  reading.values = x;
  return reading;
}

// Add to Σ x² of n columns; each thread has some of these, whatever their number is.
static inline void add_squares(const Team &team, double *to, const Reading &x, int count, int n) {
  if (!to) return;
  const Range columns = part_of(n, team);
  for (int t = 0; t < count; t++) {
    const float *row = x.values + t * x.stride;
    for (int64_t c = columns.first; c < columns.end; c++) to[c] += (double)row[c] * row[c];
  }
}
