// Which few experts of a mixture run for each token, and what their words are multiplied by.
#pragma once

// Python refuses what is more, see binding/coverage.py.
constexpr int MOST_GROUPS = 256, MOST_GROUP_BEST = 8;
// What shares are divided by at the least: sigmoids may all be 0.
constexpr float LEAST_SUM = 1e-20f;

// chances = softmax or sigmoid of what the router gives, in its place.
static void make_chances(const Model &m, float *chances) {
  for (int e = 0; m.apart && e < m.experts; e++) chances[e] *= m.router_scale;
  if (m.router_softcap != 0.0f) {
    for (int e = 0; e < m.experts; e++) chances[e] = m.router_softcap * tanhf(chances[e] / m.router_softcap);
  }
  if (m.sigmoid) {
    for (int e = 0; e < m.experts; e++) chances[e] = 1.0f / (1.0f + expf(-chances[e]));
    return;
  }
  float most = chances[0], total = 0.0f;
  for (int e = 1; e < m.experts; e++) most = chances[e] > most ? chances[e] : most;
  for (int e = 0; e < m.experts; e++) total += chances[e] = expf(chances[e] - most);
  for (int e = 0; e < m.experts; e++) chances[e] /= total;
}

// Which of n is the largest, the first of equals; -1 where all are -inf.
static int largest_of(const float *x, int n) {
  int best = -1;
  float most = -INFINITY;
  for (int i = 0; i < n; i++) {
    if (x[i] > most) most = x[i], best = i;
  }
  return best;
}

// ranks = -inf for the experts of all groups but the best, whose `group_best` best are largest together.
static void keep_best_groups(const Model &m, float *ranks) {
  const int inside = m.experts / m.groups;
  uint64_t kept[MOST_GROUPS / 64] = {};
  float sums[MOST_GROUPS];
  for (int g = 0; g < m.groups; g++) {
    float best[MOST_GROUP_BEST], *const of = ranks + g * inside;
    int where[MOST_GROUP_BEST];
    sums[g] = 0.0f;
    for (int b = 0; b < m.group_best; b++) {
      where[b] = largest_of(of, inside);
      if (where[b] < 0) where[b] = 0;
      sums[g] += best[b] = of[where[b]];
      of[where[b]] = -INFINITY;
    }
    for (int b = m.group_best - 1; b >= 0; b--) of[where[b]] = best[b];
  }
  for (int c = 0; c < m.groups_chosen; c++) {
    const int g = largest_of(sums, m.groups);
    if (g < 0) break;
    kept[g / 64] |= (uint64_t)1 << g % 64;
    sums[g] = -INFINITY;
  }
  for (int e = 0; e < m.experts; e++) {
    if (!(kept[e / inside / 64] >> e / inside % 64 & 1)) ranks[e] = -INFINITY;
  }
}

// Mixture.route: the experts of this thread's tokens, and their shares.
static void choose_experts(const Step &s, const Team &team, const LayerWeights &w) {
  const Model &m = *s.model;
  const Range tokens = part_of(s.call->count, team);
  const int64_t stride = up(m.experts, 16);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    float *chances = s.shares + t * stride, *ranks = s.ranks + t * stride, *shares = s.chosen_shares + t * m.chosen;
    int32_t *chosen = s.chosen + t * m.chosen;
    make_chances(m, chances);
    for (int e = 0; e < m.experts; e++) ranks[e] = chances[e] + (w.correction ? w.correction[e] : 0.0f);
    if (m.groups) keep_best_groups(m, ranks);
    float kept = 0.0f;
    for (int c = 0; c < m.chosen; c++) {
      // Numbers that are none rank nowhere: any expert will do, since the logits will be none either.
      const int best = largest_of(ranks, m.experts);
      chosen[c] = best < 0 ? c : best;
      kept += shares[c] = chances[chosen[c]];
      ranks[chosen[c]] = -INFINITY;
    }
    const float sum = !m.normalised ? 1.0f : kept > LEAST_SUM ? kept : LEAST_SUM;
    for (int c = 0; c < m.chosen; c++) {
      shares[c] = shares[c] / sum * m.share_scale * (w.expert_scales ? w.expert_scales[chosen[c]] : 1.0f);
    }
  }
}

// What each expert says of this thread's tokens is multiplied by, for a probe that asks for it.
static void show_shares(const Step &s, const Team &team, float *to) {
  if (!to) return;
  const Model &m = *s.model;
  const Copies &probe = *s.call->probe;
  const Range tokens = part_of(s.call->count, team);
  for (int64_t t = tokens.first; t < tokens.end; t++) {
    if (t < probe.first || t >= probe.end) continue;
    float *row = to + (t - probe.first) * m.experts;
    memset(row, 0, m.experts * sizeof(float));
    for (int c = 0; c < m.chosen; c++) row[s.chosen[t * m.chosen + c]] = s.chosen_shares[t * m.chosen + c];
  }
}

// Pairs of a token and an expert, sorted by expert: each expert's weights are read once.
static void sort_by_expert(const Step &s) {
  const Model &m = *s.model;
  const int pairs = s.call->count * m.chosen;
  int32_t *const start = s.expert_start;
  memset(start, 0, (m.experts + 1) * sizeof(int32_t));
  for (int i = 0; i < pairs; i++) start[s.chosen[i] + 1]++;
  for (int e = 0; e < m.experts; e++) start[e + 1] += start[e];
  for (int i = 0; i < pairs; i++) {
    const int at = start[s.chosen[i]]++;
    s.pair_token[at] = i / m.chosen;
    s.pair_share[at] = s.chosen_shares[i];
  }
  // Each has moved to where the next one starts.
  for (int e = m.experts; e > 0; e--) start[e] = start[e - 1];
  start[0] = 0;
}
