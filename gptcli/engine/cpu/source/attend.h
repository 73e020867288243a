// Attention of all tokens, as units of work that threads take one by one.
#pragma once

// Queries of the unit, times the scale, one after the other: token by token, head by head.
static inline void take_queries(const Step &s, const Scratch &own, const Unit &u) {
  const LayerWeights &w = s.model->layer[u.layer];
  const int d = w.head_dim, shared = sharing(w);
  for (int q = 0; q < u.item.count * shared; q++) {
    const int64_t token = u.item.first + q / shared, head = u.kv_head * shared + q % shared;
    const float *from = s.qkv + token * s.qkv_stride + head * d;
    float *to = own.queries + q * head_stride(w);
    for (int i = 0; i < d; i += 16) {
      store(to + i, load_part(from + i, d - i < 16 ? d - i : 16) * splat(w.attention_scale));
    }
    if (s.call->cache_kind != CACHE_INT8) continue;
    const int64_t n = head_stride(w);
    own.word_scales[q] = rounded_words(own.words + q * n, to, n, most_of_queries(n));
  }
}

static inline int first_stretch(const Item &item, const LayerWeights &w) {
  return seen_from(item.position, w).first / STRETCH;
}
static inline int end_stretch(const Item &item) { return (item.position + item.count - 1) / STRETCH + 1; }

static inline void attend_one(const Step &s, const Scratch &own, const Unit &u, float *partial) {
  as_cached(s.call->cache_kind, [&](auto number) { attend_stretch<decltype(number)>(s, own, u, partial); });
}

// place: of a stretch in its round; behind them, at s.round, is what is merged so far.
static inline float *partials_of(const Step &s, const LayerWeights &w, int64_t token, int head, int place) {
  const int64_t at = (token * w.heads + head) * (s.round + 1) + place;
  return s.partials + at * partial_stride(w);
}

// One thread takes all stretches of an item and head, merging as it goes.
static void attend_whole(const Step &s, const Scratch &own, Unit u) {
  const LayerWeights &w = s.model->layer[u.layer];
  const int shared = sharing(w), queries = u.item.count * shared;
  const int64_t step = partial_stride(w);
  take_queries(s, own, u);
  for (int q = 0; q < queries; q++) forget(w, own.running + q * step);
  for (u.stretch = first_stretch(u.item, w); u.stretch < end_stretch(u.item); u.stretch++) {
    attend_one(s, own, u, own.fresh);
    for (int q = 0; q < queries; q++) merge(w, own.running + q * step, own.fresh + q * step);
  }
  for (int q = 0; q < queries; q++) {
    finish(s, w, own.running + q * step, u.item.first + q / shared, u.kv_head * shared + q % shared);
  }
}

// One stretch; its partial softmaxes go where merge_round finds them. first: of the round.
static void attend_part(const Step &s, const Scratch &own, const Unit &u, int first) {
  const LayerWeights &w = s.model->layer[u.layer];
  const int shared = sharing(w);
  const int64_t step = partial_stride(w);
  take_queries(s, own, u);
  attend_one(s, own, u, own.fresh);
  for (int q = 0; q < u.item.count * shared; q++) {
    memcpy(partials_of(s, w, u.item.first + q / shared, u.kv_head * shared + q % shared, u.stretch - first),
           own.fresh + q * step, step * sizeof(float));
  }
}

// The stretches of an item that are among those of a round.
static inline Range stretches_of(const Item &item, const LayerWeights &w, Range round) {
  const int64_t first = first_stretch(item, w), end = end_stretch(item);
  return {first > round.first ? first : round.first, end < round.end ? end : round.end};
}

// In their order, whatever the rounds: a sum of the same numbers in another order is another sum.
static void merge_round(const Step &s, const Team &team, const LayerWeights &w, Range round) {
  for (int i = 0; i < s.item_count; i++) {
    const Item &item = s.items[i];
    const Range range = part_of((int64_t)item.count * w.heads, team);
    const Range own = stretches_of(item, w, round);
    for (int64_t at = range.first; at < range.end && own.first < own.end; at++) {
      const int64_t token = item.first + at / w.heads;
      const int head = (int)(at % w.heads);
      float *running = partials_of(s, w, token, head, s.round);
      if (own.first == first_stretch(item, w)) forget(w, running);
      for (int64_t stretch = own.first; stretch < own.end; stretch++) {
        merge(w, running, partials_of(s, w, token, head, (int)(stretch - round.first)));
      }
      if (own.end == end_stretch(item)) finish(s, w, running, token, head);
    }
  }
}

// All stretches of a round shared out; those that follow each other stay with one thread, which
// finds them loaded ahead of time.
static void attend_round(const Step &s, const Team &team, int layer, Range round) {
  const LayerWeights &w = s.model->layer[layer];
  const auto each_unit = [&](auto use) {
    for (int i = 0; i < s.item_count; i++) {
      const Range own = stretches_of(s.items[i], w, round);
      for (int kv_head = 0; kv_head < w.kv_heads; kv_head++) {
        for (int64_t stretch = own.first; stretch < own.end; stretch++) {
          use(Unit{layer, kv_head, (int)stretch, s.items[i]});
        }
      }
    }
  };
  int64_t total = 0, number = 0;
  each_unit([&](const Unit &) { total++; });
  const Range mine = part_of(total, {team.pool, team.index, team.count < s.attending ? team.count : s.attending});
  each_unit([&](const Unit &u) {
    if (number >= mine.first && number < mine.end) attend_part(s, s.scratch[team.index], u, (int)round.first);
    number++;
  });
}

// gathered = attend(q, keys, values, mask, scale)
static void attend(const Step &s, const Team &team, int layer) {
  const LayerWeights &w = s.model->layer[layer];
  const Scratch &own = s.scratch[team.index];
  if (!splits(s, w)) {  // the last items, which see most, first
    const int total = s.item_count * w.kv_heads;
    const auto next = [&] { return team.index < s.attending ? Team::take(s.next + layer) : total; };
    for (int at = next(); at < total; at = next()) {
      const Item &item = s.items[s.item_count - 1 - at / w.kv_heads];
      attend_whole(s, own, {layer, at % w.kv_heads, 0, item});
    }
    team.wait();
    return;
  }
  int64_t first = first_stretch(s.items[0], w), end = 0;
  for (int i = 0; i < s.item_count; i++) {
    const int64_t begins = first_stretch(s.items[i], w), ends = end_stretch(s.items[i]);
    first = begins < first ? begins : first, end = ends > end ? ends : end;
  }
  for (; first < end; first += s.round) {
    const Range round = {first, first + s.round};
    if (team.index < s.attending) attend_round(s, team, layer, round);
    team.wait();
    merge_round(s, team, w, round);
    team.wait();
  }
}
