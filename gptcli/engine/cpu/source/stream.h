// What is added to the stream, and what of it a probe is shown.
#pragma once

// Copy x of this thread's tokens, n numbers each, out for a probe that asks for it.
static inline void show(const Step &s, const Team &team, float *to, const float *x, int64_t stride, int n) {
  if (!to) return;
  const Copies &probe = *s.call->probe;
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    if (t < probe.first || t >= probe.end) continue;
    float *row = to + (t - probe.first) * n;
    memcpy(row, x + t * stride, n * sizeof(float));
  }
}

// What is done with an update besides, before it is added: edits, and where to show it.
struct Passing {
  Edits edits;
  float *shown;
};

// stream = behind * (stream + scale * post_norm(update)), of whole rows.
static void add_update(const Step &s, const Team &team, Norm post_norm, float scale, const Passing &passing,
                       float behind = 1.0f) {
  const Model &m = *s.model;
  team.wait();
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *update = s.update + t * s.width_stride;
    if (post_norm.weight) normalise(update, update, m.width, post_norm, m.layernorm, m.eps);
    for (int64_t i = 0; i < s.width_stride; i += 16) store(update + i, load(update + i) * splat(scale));
  }
  edit(s, team, passing.edits, s.update, s.width_stride);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *update = s.update + t * s.width_stride, *stream = s.stream + t * s.width_stride;
    for (int64_t i = 0; i < s.width_stride; i += 16) store(stream + i, (load(stream + i) + load(update + i)) * splat(behind));
  }
  show(s, team, passing.shown, s.update, s.width_stride, m.width);
  team.wait();
}

// stream = behind * (stream + scale * post_norm(matrix(x))): at once, or where the update is normed, changed or shown,
// once it is whole. The numbers are the same.
static void add_product(const Step &s, const Team &team, const Matrix &matrix, const Reading &x, Norm post_norm,
                        float scale, const Passing &passing, float behind = 1.0f) {
  const Model &m = *s.model;
  const bool whole = post_norm.weight || passing.shown || passing.edits.count;
  float *to = whole ? s.update : s.stream;
  product(matrix, part_of(panels_of(matrix), team), x, s.numbers, s.call->count, m.met,
          [&](int i, int64_t p, const Floats *values) {
               float *at = to + i * s.width_stride + 16 * p;
               store(at, whole ? values[0] : (load(at) + values[0] * splat(scale)) * splat(behind));
             });
  if (whole) add_update(s, team, post_norm, scale, passing, behind);
  else team.wait();
}
