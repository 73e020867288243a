// The whole forward, stage by stage: ids → stream → logits. Every stage ends when all threads have
// ended it. Comments are the torch expressions that the stages must equal.
#pragma once

// stream = embedding(ids) * scale + positions(at); embedding_norm
static void embed(const Step &s, const Team &team) {
  const Model &m = *s.model;
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *to = s.stream + t * s.width_stride;
    read_row(m.embedding, s.call->tokens[t], to);
    for (int i = 0; i < m.width; i++) to[i] *= m.embedding_scale;
    if (m.positions) {
      const float *position = m.positions + (int64_t)s.call->positions[t] * m.width;
      for (int i = 0; i < m.width; i++) to[i] += position[i];
    }
    if (m.embedding_norm.weight) normalise(to, to, m.width, m.embedding_norm, m.layernorm, m.eps);
  }
  if (s.call->edits) edit(s, team, s.call->edits->embedding, s.stream, s.width_stride);
  if (s.call->probe) show(s, team, s.call->probe->embedding, s.stream, s.width_stride, m.width);
  team.wait();
  if (m.told_size) tell(s, team);
}

// What tokens are projected to, whose panels are shared out as if they were one matrix.
static void project(const Step &s, const Team &team, const LayerWeights &w, const Reading &x) {
  const Parts parts = parts_of(w);
  int64_t total = 0;
  for (const Matrix *part : parts.of) total += part->data ? panels_of(*part) : 0;
  Range all = part_of(total, team);
  for (int i = 0; i < PARTS; i++) {
    const Matrix &part = *parts.of[i];
    if (!part.data) continue;
    const float scale = w.part_scales[i];
    float *to = s.qkv + part_at(w, i);
    const int64_t panels = panels_of(part);
    const Range here = {all.first < 0 ? 0 : all.first, all.end < panels ? all.end : panels};
    if (here.first < here.end) {
      product(part, here, x, s.numbers, s.call->count, s.model->met,
              [&](int i, int64_t p, const Floats *v) { store(to + i * s.qkv_stride + 16 * p, v[0] * splat(scale)); });
    }
    all.first -= panels, all.end -= panels;
  }
}

// What the layers before have left beyond the rows of this one, up to what its matrices read.
static void clear_ends(const Step &s, const Team &team, const LayerWeights &w) {
  const int64_t gathered = w.gathered, hidden = up(w.hidden, 16);  // a panel's rows are written
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    memset(s.gathered + t * s.gathered_stride + gathered, 0, (up(gathered, ROW_MULTIPLE) - gathered) * sizeof(float));
    memset(s.hidden + t * s.hidden_stride + hidden, 0, (up(hidden, ROW_MULTIPLE) - hidden) * sizeof(float));
  }
}

static void widen_layer(const Step &s, const Team &team, int layer, const Reading &x, double *squares) {
  const LayerWeights &w = s.model->layer[layer];
  if (w.router.data) widen_experts(s, team, layer, x, squares);
  else widen(s, team, w.gate, w.up, x, s.numbers, s.call->count, s.hidden, s.hidden_stride);
}

static int needs_of_mixer(const Model &m, const LayerWeights &w) {
  int needs = NOTHING;
  const Parts parts = parts_of(w);
  for (const Matrix *part : parts.of) needs |= needs_of(*part, m.met);
  return needs;
}

// gathered = what tokens have of each other by attention, from what they were projected to
static void attend_all(const Step &s, const Team &team, int layer, float *shown_queries) {
  const LayerWeights &w = s.model->layer[layer];
  if (w.latents.rank) place_latents(s, team, layer);
  else place_heads(s, team, layer), team.wait();
  show(s, team, shown_queries, s.qkv, s.qkv_stride, w.heads * w.head_dim);
  attend(s, team, layer);
  if (w.latents.rank) values_of_latents(s, team, w);
  gate_gathered(s, team, w);
}

// gathered = the same, or what a mixer has of them; as it is changed and shown.
static void mix(const Step &s, const Team &team, int layer, const LayerCopies &shown) {
  const LayerWeights &w = s.model->layer[layer];
  if (w.mixer == ATTENTION) attend_all(s, team, layer, shown.queries);
  else carry_on(s, team, w, layer);
  const Edits edits = edits_of(s, layer).heads;
  edit(s, team, edits, s.gathered, s.gathered_stride);
  show(s, team, shown.heads, s.gathered, s.gathered_stride, w.gathered);
  if (edits.count) team.wait();
}

// update = out_scale * out(gathered), or that is added to it.
static void say(const Step &s, const Team &team, const LayerWeights &w, const Reading &x, bool add) {
  product(w.out, part_of(panels_of(w.out), team), x, s.numbers, s.call->count, s.model->met,
          [&](int i, int64_t p, const Floats *values) {
               float *at = s.update + i * s.width_stride + 16 * p;
               const Floats said = values[0] * splat(w.out_scale);
               store(at, add ? load(at) + said : said);
             });
  team.wait();
}

// stream = behind * (stream + post_norm(what attention says, out of x, and what the mixer beside it says)).
static void add_both(const Step &s, const Team &team, int layer, const Reading &x, const LayerSquares &squares,
                     const Passing &passing, float behind) {
  const Model &m = *s.model;
  const LayerWeights &w = m.layer[layer], &beside = *w.beside;
  const int count = s.call->count;
  say(s, team, w, x, false);
  // What it read is gone by now.
  const Reading again = read_normed(s, team, s.stream, nullptr, count, w.attention_norm, beside.query.order, needs_of_mixer(m, beside));
  clear_ends(s, team, beside);
  project(s, team, beside, again);
  team.wait();
  carry_on(s, team, beside, layer);
  const Reading found = read_as_is(s, team, s.gathered, count, beside.gathered, s.gathered_stride, beside.out.order, needs_of(beside.out, m.met));
  add_squares(team, squares.beside, found, count, beside.gathered);
  say(s, team, beside, found, true);
  add_update(s, team, w.attention_post_norm, 1.0f, passing, behind);
}

static void layer_forward(const Step &s, const Team &team, int layer) {
  const Model &m = *s.model;
  const LayerWeights &w = m.layer[layer];
  const int count = s.call->count;
  const bool mixture = w.router.data != nullptr;
  const LayerCopies shown = s.call->probe ? s.call->probe->layer[layer] : LayerCopies{};
  const LayerEdits edits = edits_of(s, layer);
  const LayerSquares squares = s.call->squares ? s.call->squares->layer[layer] : LayerSquares{};
  // The layer's scale goes with what it adds last.
  const float behind_mixer = w.thinks || m.told_size ? 1.0f : w.scale, behind_mlp = m.told_size ? 1.0f : w.scale;
  const int mlp_needs = w.thinks ? needs_of_mlp(m, w) : NOTHING;
  const int first_needs = needs_of_mixer(m, w) | (m.parallel == 2 ? mlp_needs : NOTHING);

  clear_ends(s, team, w);
  Reading x;
  if (w.mixer != NO_MIXER) {
    x = read_normed(s, team, s.stream, nullptr, count, w.attention_norm, w.query.order, first_needs);
    add_squares(team, squares.attention, x, count, m.width);
    project(s, team, w, x);
    if (m.parallel == 1) {
      team.wait();
      x = read_normed(s, team, s.stream, nullptr, count, w.mlp_norm, w.up.order, mlp_needs);
    }
    if (m.parallel) {
      add_squares(team, squares.mlp, x, count, m.width);
      widen_layer(s, team, layer, x, squares.latent);
    }
    team.wait();
    mix(s, team, layer, shown);
    x = read_as_is(s, team, s.gathered, count, w.gathered, s.gathered_stride, w.out.order, needs_of(w.out, m.met));
    add_squares(team, squares.out, x, count, w.gathered);
    const Passing passing = {edits.attention, shown.attention};
    if (w.beside) add_both(s, team, layer, x, squares, passing, behind_mixer);
    else add_product(s, team, w.out, x, w.attention_post_norm, w.out_scale, passing, behind_mixer);
  }
  if (w.thinks && !m.parallel) {
    x = read_normed(s, team, s.stream, nullptr, count, w.mlp_norm, w.up.order, mlp_needs);
    add_squares(team, squares.mlp, x, count, m.width);
    widen_layer(s, team, layer, x, squares.latent);
    team.wait();
  }
  const Passing passing = {edits.mlp, shown.mlp};
  if (w.thinks && mixture) {
    narrow_experts(s, team, w, squares);
    add_update(s, team, w.mlp_post_norm, w.mlp_scale, passing, behind_mlp);
  } else if (w.thinks) {
    x = read_as_is(s, team, s.hidden, count, w.hidden, s.hidden_stride, w.down.order, needs_of(w.down, m.met));
    add_squares(team, squares.down, x, count, w.hidden);
    add_product(s, team, w.down, x, w.mlp_post_norm, w.mlp_scale, passing, behind_mlp);
  }
  if (m.told_size) add_told(s, team, layer, squares, {edits.told, shown.told});
  edit(s, team, edits.stream, s.stream, s.width_stride);
  if (edits.stream.count) team.wait();
  show(s, team, shown.stream, s.stream, s.width_stride, m.width);
}

// logits = softcap(logit_scale * (final_norm(stream[wanted]) @ head + bias))
static void unembed(const Step &s, const Team &team) {
  const Model &m = *s.model;
  const int count = s.call->wanted_count;
  if (count == 0) return;
  const Reading x = read_normed(s, team, s.stream, s.call->wanted, count, m.final_norm, nullptr, needs_of(m.head, m.met));
  if (s.call->squares) add_squares(team, s.call->squares->head, x, count, m.width);
  product(m.head, part_of(panels_of(m.head), team), x, s.numbers, count, m.met,
          [&](int i, int64_t p, const Floats *values) {
               const Floats logits = softcapped(values[0] * splat(m.logit_scale), m.final_softcap);
               const int64_t left = m.vocab - 16 * p;
               store_part(s.call->logits + (int64_t)i * m.vocab + 16 * p, logits, left < 16 ? (int)left : 16);
             });
}

static void forward(void *argument, const Team &team) {
  const Step &s = *(const Step *)argument;
  embed(s, team);
  for (int layer = 0; layer < s.model->layers; layer++) layer_forward(s, team, layer);
  unembed(s, team);
}
