// The MLP of a layer, or the few experts that a router chooses for each token.
#pragma once

// activation(gate) * (up + up_offset)
static inline Floats gated(const Model &m, Floats gate, Floats up) {
  gate = gate * splat(m.gate_scale);
  if (m.gate_limit != 0.0f) {
    const Floats limit = splat(m.gate_limit);
    gate = min(limit, gate);
    up = min(limit, max(splat(-m.gate_limit), up));
  }
  return activated(gate, m.activation) * (up + splat(m.up_offset));
}

// to[i] = act(gate(x[which[i]])) * up(x[which[i]]), or act(up(…)) without a gate; panels are shared out.
static void widen(const Step &s, const Team &team, const Matrix &gate, const Matrix &up, const Reading &x,
                  const int32_t *which, int count, float *to, int64_t stride) {
  const Model &m = *s.model;
  const Range range = part_of(panels_of(up), team);
  if (m.gated) {
    const Matrix *const both[] = {&gate, &up};
    product<2>(both, range, x, which, count, m.met,
               [&](int i, int64_t p, const Floats *values) { store(to + i * stride + 16 * p, gated(m, values[0], values[1])); });
  } else {
    product(up, range, x, which, count, m.met,
            [&](int i, int64_t p, const Floats *values) { store(to + i * stride + 16 * p, activated(values[0], m.activation)); });
  }
}

// What matrices of every expert need; they are mostly of one kind.
static int needs_of_all(const Model &m, const Matrix *experts) {
  int needs = needs_of(experts[0], m.met);
  for (int e = 1; e < m.experts; e++) {
    if (experts[e].kind != experts[e - 1].kind) needs |= needs_of(experts[e], m.met);
  }
  return needs;
}

// What the MLP's first matrices need, those of every expert.
static int needs_of_mlp(const Model &m, const LayerWeights &w) {
  if (!w.router.data) return needs_of(w.gate, m.met) | needs_of(w.up, m.met);
  const int needs = needs_of(w.router, m.met) | needs_of_all(m, w.experts_up);
  return m.gated ? needs | needs_of_all(m, w.experts_gate) : needs;
}

// chances = router(x).softmax(-1); the `chosen` largest, ties to the first, and their shares.
static void choose_experts(const Step &s, const Team &team) {
  const Model &m = *s.model;
  const Range tokens = part_of(s.call->count, team);
  const int64_t stride = up(m.experts, 16);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *chances = s.shares + t * stride, most = chances[0], total = 0.0f, kept = 0.0f;
    for (int e = 1; e < m.experts; e++) most = chances[e] > most ? chances[e] : most;
    for (int e = 0; e < m.experts; e++) total += chances[e] = expf(chances[e] - most);
    for (int c = 0; c < m.chosen; c++) {
      int best = -1;
      for (int e = 0; e < m.experts; e++) {
        bool taken = false;
        for (int i = 0; i < c; i++) taken |= s.chosen[t * m.chosen + i] == e;
        if (!taken && (best < 0 || chances[e] > chances[best])) best = e;
      }
      s.chosen[t * m.chosen + c] = best;
      kept += s.chosen_shares[t * m.chosen + c] = chances[best] / total;
    }
    for (int c = 0; m.normalised && c < m.chosen; c++) s.chosen_shares[t * m.chosen + c] /= kept;
  }
}

// Pairs of a token and an expert, sorted by expert: each expert's weights are read once.
static void sort_by_expert(const Step &s) {
  const Model &m = *s.model;
  const int pairs = s.call->count * m.chosen;
  int at = 0;
  for (int e = 0; e < m.experts; e++) {
    s.expert_start[e] = at;
    for (int i = 0; i < pairs; i++) {
      if (s.chosen[i] != e) continue;
      s.pair_token[at] = i / m.chosen;
      s.pair_share[at++] = s.chosen_shares[i];
    }
  }
  s.expert_start[m.experts] = at;
}

// Which experts, and their hidden features, (pairs, expert_hidden).
static void widen_experts(const Step &s, const Team &team, const LayerWeights &w, const Reading &x) {
  const Model &m = *s.model;
  product(w.router, part_of(panels_of(w.router), team), x, s.numbers, s.call->count, m.met,
          [&](int i, int64_t p, const Floats *v) { store(s.shares + i * up(m.experts, 16) + 16 * p, v[0]); });
  team.wait();
  choose_experts(s, team);
  team.wait();
  if (team.index == 0) sort_by_expert(s);
  team.wait();
  for (int e = 0; e < m.experts; e++) {
    const int start = s.expert_start[e], count = s.expert_start[e + 1] - start;
    if (!count) continue;
    widen(s, team, m.gated ? w.experts_gate[e] : w.experts_up[e], w.experts_up[e], x, s.pair_token + start, count,
          s.expert_hidden + start * s.expert_stride, s.expert_stride);
  }
}

// update[token] = Σ share · down(hidden), expert by expert, as Mixture.forward adds them. squares:
// those of all experts together, or null.
static void narrow_experts(const Step &s, const Team &team, const LayerWeights &w, double *squares) {
  const Model &m = *s.model;
  const Reading x = read_as_is(s, team, s.expert_hidden, s.call->count * m.chosen, m.expert_hidden, s.expert_stride,
                               nullptr, needs_of_all(m, w.experts_down));
  add_squares(team, squares, x, s.call->count * m.chosen, m.expert_hidden);
  const Range range = part_of(panels_of(w.experts_down[0]), team);
  for (int t = 0; t < s.call->count; t++) {
    memset(s.update + t * s.width_stride + 16 * range.first, 0, 64 * (range.end - range.first));
  }
  for (int e = 0; e < m.experts; e++) {
    const int start = s.expert_start[e], count = s.expert_start[e + 1] - start;
    if (!count) continue;
    product(w.experts_down[e], range, x, s.numbers + start, count, m.met,
            [&](int i, int64_t p, const Floats *values) {
                 float *to = s.update + s.pair_token[start + i] * s.width_stride + 16 * p;
                 store(to, fma(values[0], splat(s.pair_share[start + i]), load(to)));
               });
  }
}
