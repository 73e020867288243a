// What each layer is told of its token besides the stream: see layer_inputs.py.
#pragma once

// told = (norm(project(stream) / sqrt(width)) + table(id) · scale) / sqrt(2), layer by layer.
static void tell(const Step &s, const Team &team) {
  const Model &m = *s.model;
  const int count = s.call->count, layers = m.layers, size = m.told_size;
  const Reading x = read_as_is(s, team, s.stream, count, m.width, s.width_stride, m.told_project.order,
                               needs_of(m.told_project, m.met));
  product(m.told_project, part_of(panels_of(m.told_project), team), x, s.numbers, count, m.met,
          [&](int i, int64_t p, const Floats *v) { store(s.projected + i * s.told_stride + 16 * p, v[0]); });
  team.wait();
  const float width_scale = 1.0f / sqrtf((float)m.width), half = sqrtf(0.5f);
  const Range tokens = part_of(count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *told = s.told + t * s.told_stride, *projected = s.projected + t * s.told_stride;
    read_row(m.told_table, s.call->tokens[t], told);
    for (int layer = 0; layer < layers; layer++, told += size, projected += size) {
      for (int i = 0; i < size; i++) projected[i] *= width_scale;
      normalise(projected, projected, size, m.told_norm, m.layernorm, m.eps);
      for (int i = 0; i < size; i++) told[i] = (projected[i] + told[i] * m.told_scale) * half;
    }
  }
  team.wait();
}

// stream += post_norm(out(activation(gate(stream)) · told)), and that times the layer's scale
static void add_told(const Step &s, const Team &team, int layer, const LayerSquares &squares, const Passing &passing) {
  const Model &m = *s.model;
  const LayerWeights &w = m.layer[layer];
  const int count = s.call->count, size = m.told_size;
  Reading x = read_as_is(s, team, s.stream, count, m.width, s.width_stride, w.told_gate.order, needs_of(w.told_gate, m.met));
  add_squares(team, squares.told, x, count, m.width);
  product(w.told_gate, part_of(panels_of(w.told_gate), team), x, s.numbers, count, m.met,
          [&](int i, int64_t p, const Floats *v) {
               const int64_t left = size - 16 * p;
               const Floats told = load_part(s.told + i * s.told_stride + layer * size + 16 * p, left < 16 ? (int)left : 16);
               store(s.asked + i * s.asked_stride + 16 * p, activated(v[0], m.activation) * told);
             });
  team.wait();
  x = read_as_is(s, team, s.asked, count, size, s.asked_stride, w.told_out.order, needs_of(w.told_out, m.met));
  add_squares(team, squares.told_out, x, count, size);
  add_product(s, team, w.told_out, x, w.told_norm, 1.0f, passing, w.scale);
}
