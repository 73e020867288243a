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
// shares: what x[which[i]] is multiplied by first, as matrices without biases allow, or null.
static void widen(const Step &s, const Team &team, const Matrix &gate, const Matrix &up, const Reading &x,
                  const int32_t *which, int count, float *to, int64_t stride, const float *shares = nullptr) {
  const Model &m = *s.model;
  const Range range = part_of(panels_of(up), team);
  const auto of = [&](int i, Floats value) { return shares ? value * splat(shares[i]) : value; };
  if (m.gated) {
    const Matrix *const both[] = {&gate, &up};
    product<2>(both, range, x, which, count, m.met, [&](int i, int64_t p, const Floats *values) {
      store(to + i * stride + 16 * p, gated(m, of(i, values[0]), of(i, values[1])));
    });
  } else {
    product(up, range, x, which, count, m.met, [&](int i, int64_t p, const Floats *values) {
      store(to + i * stride + 16 * p, activated(of(i, values[0]), m.activation));
    });
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

// What every expert reads.
static int needs_of_experts(const Model &m, const LayerWeights &w) {
  const int needs = needs_of_all(m, w.experts_up);
  return m.gated ? needs | needs_of_all(m, w.experts_gate) : needs;
}

// What the matrices need that read the token: the MLP's first, or a mixture's with its shared expert.
static int needs_of_mlp(const Model &m, const LayerWeights &w) {
  const int needs = needs_of(w.gate, m.met) | needs_of(w.up, m.met);
  if (!w.router.data) return needs;
  const int inwards = w.latent_in.data ? needs_of(w.latent_in, m.met) : needs_of_experts(m, w);
  return needs | inwards | needs_of(w.router, m.met) | needs_of(w.shared_gate, m.met);
}

// Which experts, and the hidden features of these, (pairs, expert_hidden), and of the shared expert.
static void widen_experts(const Step &s, const Team &team, int layer, const Reading &x, double *squares) {
  const LayerWeights &w = s.model->layer[layer];
  const Model &m = *s.model;
  const int tokens = s.call->count;
  Reading read = x;
  const auto into = [&](const Matrix &matrix, float *to, int64_t stride) {
    product(matrix, part_of(panels_of(matrix), team), read, s.numbers, tokens, m.met,
            [&](int i, int64_t p, const Floats *v) { store(to + i * stride + 16 * p, v[0]); });
  };
  if (!m.apart) into(w.router, s.shares, up(m.experts, 16));
  if (w.latent_in.data) into(w.latent_in, s.latent, s.latent_stride);
  if (w.shared_gate.data) into(w.shared_gate, s.beside, 16);
  if (w.up.data) widen(s, team, w.gate, w.up, x, s.numbers, tokens, s.hidden, s.hidden_stride);
  team.wait();
  if (m.apart) {
    read = read_normed(s, team, s.stream, nullptr, tokens, w.router_norm, nullptr, needs_of(w.router, m.met));
    into(w.router, s.shares, up(m.experts, 16));
    team.wait();
    read = read_normed(s, team, s.stream, nullptr, tokens, w.experts_norm, nullptr, needs_of_experts(m, w));
    add_squares(team, squares, read, tokens, m.width);
  }
  if (w.latent_in.data) {
    read = read_as_is(s, team, s.latent, tokens, m.latent, s.latent_stride, nullptr, needs_of_experts(m, w));
    add_squares(team, squares, read, tokens, m.latent);
  }
  choose_experts(s, team, w);
  edit_shares(s, team, edits_of(s, layer).shares);
  if (s.call->probe) show_shares(s, team, s.call->probe->layer[layer].shares);
  team.wait();
  if (team.index == 0) sort_by_expert(s);
  team.wait();
  for (int e = 0; e < m.experts; e++) {
    const int start = s.expert_start[e], count = s.expert_start[e + 1] - start;
    if (!count) continue;
    widen(s, team, m.gated ? w.experts_gate[e] : w.experts_up[e], w.experts_up[e], read, s.pair_token + start, count,
          s.expert_hidden + start * s.expert_stride, s.expert_stride, m.on_input ? s.pair_share + start : nullptr);
  }
}

// to[token] = Σ share · down(hidden), expert by expert, as Mixture.forward adds them. squares: those of
// what all experts read together, or null.
static void add_experts(const Step &s, const Team &team, const LayerWeights &w, float *to, int64_t stride, double *squares) {
  const Model &m = *s.model;
  const Reading x = read_as_is(s, team, s.expert_hidden, s.call->count * m.chosen, m.expert_hidden, s.expert_stride,
                               nullptr, needs_of_all(m, w.experts_down));
  add_squares(team, squares, x, s.call->count * m.chosen, m.expert_hidden);
  const Range range = part_of(panels_of(w.experts_down[0]), team);
  for (int t = 0; t < s.call->count; t++) {
    memset(to + t * stride + 16 * range.first, 0, 64 * (range.end - range.first));
  }
  for (int e = 0; e < m.experts; e++) {
    const int start = s.expert_start[e], count = s.expert_start[e + 1] - start;
    if (!count) continue;
    product(w.experts_down[e], range, x, s.numbers + start, count, m.met,
            [&](int i, int64_t p, const Floats *values) {
                 float *at = to + s.pair_token[start + i] * stride + 16 * p;
                 const Floats share = splat(m.on_input ? 1.0f : s.pair_share[start + i]);
                 store(at, fma(values[0], share, load(at)));
               });
  }
}

// update = post_norm(update) + shared_post_norm(down(x))
static void add_apart(const Step &s, const Team &team, const LayerWeights &w, const Reading &x) {
  const Model &m = *s.model;
  product(w.down, part_of(panels_of(w.down), team), x, s.numbers, s.call->count, m.met,
          [&](int i, int64_t p, const Floats *v) { store(s.aside + i * s.width_stride + 16 * p, v[0]); });
  team.wait();
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *update = s.update + t * s.width_stride, *aside = s.aside + t * s.width_stride;
    normalise(update, update, m.width, w.experts_post_norm, m.layernorm, m.eps);
    normalise(aside, aside, m.width, w.shared_post_norm, m.layernorm, m.eps);
    for (int64_t i = 0; i < s.width_stride; i += 16) store(update + i, load(update + i) + load(aside + i));
  }
}

// update = what the chosen experts say, back from latents, and what the shared one says.
static void narrow_experts(const Step &s, const Team &team, const LayerWeights &w, const LayerSquares &squares) {
  const Model &m = *s.model;
  const int count = s.call->count;
  const bool latent = w.latent_out.data;
  add_experts(s, team, w, latent ? s.latent : s.update, latent ? s.latent_stride : s.width_stride, squares.down);
  if (latent) {
    team.wait();
    const Reading x = read_as_is(s, team, s.latent, count, m.latent, s.latent_stride, nullptr, needs_of(w.latent_out, m.met));
    add_squares(team, squares.latent_sum, x, count, m.latent);
    product(w.latent_out, part_of(panels_of(w.latent_out), team), x, s.numbers, count, m.met,
            [&](int i, int64_t p, const Floats *v) { store(s.update + i * s.width_stride + 16 * p, v[0]); });
  }
  if (!w.down.data) return;
  team.wait();
  const Reading x = read_as_is(s, team, s.hidden, count, w.hidden, s.hidden_stride, w.down.order, needs_of(w.down, m.met));
  add_squares(team, squares.shared, x, count, w.hidden);
  if (m.apart) return add_apart(s, team, w, x);
  product(w.down, part_of(panels_of(w.down), team), x, s.numbers, count, m.met,
          [&](int i, int64_t p, const Floats *values) {
               float *at = s.update + i * s.width_stride + 16 * p;
               const float gate = w.shared_gate.data ? 1.0f / (1.0f + expf(-s.beside[16 * i])) : 1.0f;
               store(at, fma(values[0], splat(gate), load(at)));
             });
}
