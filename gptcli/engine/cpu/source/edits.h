// Numbers of a forward that are changed on the way, see Edit.
#pragma once

// The edits of this thread's tokens: each(token, edit).
template <class Each>
static inline void each_edit(const Step &s, const Team &team, const Edits &edits, Each each) {
  const Range tokens = part_of(s.call->count, team);
  for (int64_t i = 0; i < edits.count; i++) {
    const Edit &e = edits.edits[i];
    if (e.token < 0) {
      for (int64_t t = tokens.first; t < tokens.end; t++) each(t, e);
    } else if (e.token >= tokens.first && e.token < tokens.end) {
      each(e.token, e);
    }
  }
}

// x = factor · x + add, of this thread's tokens.
static inline void edit(const Step &s, const Team &team, const Edits &edits, float *x, int64_t stride) {
  each_edit(s, team, edits, [&](int64_t t, const Edit &e) {
    float *row = x + t * stride + e.first;
    for (int i = 0; i < e.count; i++) {
      // Of what is replaced nothing is left, be it an infinity.
      const float kept = e.factor == 0.0f ? 0.0f : row[i] * e.factor;
      row[i] = !e.add ? kept : e.factor == 0.0f ? e.add[i] : kept + e.add[i];
    }
  });
}

// share = factor · share, of the experts that this thread's tokens have chosen.
static inline void edit_shares(const Step &s, const Team &team, const Edits &edits) {
  const int chosen = s.model->chosen;
  each_edit(s, team, edits, [&](int64_t t, const Edit &e) {
    for (int c = 0; c < chosen; c++) {
      const int expert = s.chosen[t * chosen + c];
      if (expert >= e.first && expert < e.first + e.count) s.chosen_shares[t * chosen + c] *= e.factor;
    }
  });
}

// The edits of a layer, none where the call has none.
static inline LayerEdits edits_of(const Step &s, int layer) {
  return s.call->edits ? s.call->edits->layer[layer] : LayerEdits{};
}
