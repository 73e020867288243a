// Stages by themselves: the last, for who reads out streams; all of them, for tests.
#pragma once

static void stage_alone(void *argument, const Team &team) {
  const StageAlone &a = *(const StageAlone *)argument;
  switch (a.stage) {
    case EMBED: return embed(*a.step, team);
    case PLACE_HEADS: return place_heads(*a.step, team, a.layer);
    case ATTEND: return attend(*a.step, team, a.layer);
    case LAYER: return layer_forward(*a.step, team, a.layer);
    default: return unembed(*a.step, team);
  }
}

// out (count, rows padded to 16) = x[which] @ matrix
static void product_alone(const Matrix *matrix, Reading x, const int32_t *which, int32_t count, int32_t met, float *out) {
  const Team team = {nullptr, 0, 1};
  for (int i = 0; i < count; i++) round_row(x, i, matrix->columns, needs_of(*matrix, met));
  product(*matrix, part_of(panels_of(*matrix), team), x, which, count, met,
          [&](int i, int64_t p, const Floats *v) { store(out + i * up(matrix->rows, 16) + 16 * p, v[0]); });
}

static void normalise_alone(const float *x, float *out, int32_t n, const Norm *norm, int32_t layernorm, float eps) {
  normalise(x, out, n, *norm, layernorm, eps);
}

// activation -1: exp; -2: tanh
static void activate_alone(const float *x, float *out, int32_t n, int32_t activation) {
  for (int i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    const Floats v = load_part(x + i, lanes);
    store_part(out + i, activation == -1 ? exp(v) : activation == -2 ? tanh(v) : activated(v, activation), lanes);
  }
}

// (count, columns): rows of a matrix as float32, shared out.
static void rows_alone(void *argument, const Team &team) {
  const RowsAlone &a = *(const RowsAlone *)argument;
  const Range range = part_of(a.count, team);
  for (int64_t i = range.first; i < range.end; i++) read_row(*a.matrix, a.rows[i], a.out + i * a.matrix->columns);
}
