// Attention of all tokens, as units of work that threads take one by one.
#pragma once

// Queries of the unit, times the scale, one after the other: token by token, head by head.
static inline void take_queries(const Step &s, const Scratch &own, const Unit &u) {
  const Model &m = *s.model;
  const int d = m.head_dim, group = m.heads / m.kv_heads;
  for (int q = 0; q < u.item.count * group; q++) {
    const int64_t token = u.item.first + q / group, head = u.kv_head * group + q % group;
    const float *from = s.qkv + token * s.qkv_stride + head * d;
    float *to = own.queries + q * s.head_stride;
    for (int i = 0; i < d; i += 16) {
      store(to + i, load_part(from + i, d - i < 16 ? d - i : 16) * splat(m.attention_scale));
    }
  }
}

static inline int first_stretch(const Item &item, int window) {
  return seen_from(item.position, window).first / STRETCH;
}
static inline int end_stretch(const Item &item) { return (item.position + item.count - 1) / STRETCH + 1; }

static inline void attend_one(const Step &s, const Scratch &own, const Unit &u, float *partial) {
  if (s.call->bfloat16_cache) attend_stretch<uint16_t>(s, own, u, partial);
  else attend_stretch<float>(s, own, u, partial);
}

static inline float *partials_of(const Step &s, int64_t token, int head, int stretch) {
  const int64_t at = (token * s.model->heads + head) * s.most_stretches + stretch;
  return s.partials + at * s.partial_stride;
}

// One thread takes all stretches of an item and head, merging as it goes.
static void attend_whole(const Step &s, const Scratch &own, Unit u) {
  const Model &m = *s.model;
  const int group = m.heads / m.kv_heads, queries = u.item.count * group;
  take_queries(s, own, u);
  for (int q = 0; q < queries; q++) forget(s, own.running + q * s.partial_stride);
  for (u.stretch = first_stretch(u.item, m.layer[u.layer].window); u.stretch < end_stretch(u.item); u.stretch++) {
    attend_one(s, own, u, own.fresh);
    for (int q = 0; q < queries; q++) merge(s, own.running + q * s.partial_stride, own.fresh + q * s.partial_stride);
  }
  for (int q = 0; q < queries; q++) {
    finish(s, u.layer, own.running + q * s.partial_stride, u.item.first + q / group, u.kv_head * group + q % group);
  }
}

// One stretch; its partial softmaxes go where merge_stretches finds them.
static void attend_part(const Step &s, const Scratch &own, const Unit &u) {
  const int group = s.model->heads / s.model->kv_heads;
  take_queries(s, own, u);
  attend_one(s, own, u, own.fresh);
  for (int q = 0; q < u.item.count * group; q++) {
    memcpy(partials_of(s, u.item.first + q / group, u.kv_head * group + q % group, u.stretch),
           own.fresh + q * s.partial_stride, s.partial_stride * sizeof(float));
  }
}

static void merge_stretches(const Step &s, const Team &team, int layer) {
  const Model &m = *s.model;
  float *running = s.scratch[team.index].running;
  for (int i = 0; i < s.item_count; i++) {
    const Item &item = s.items[i];
    const Range range = part_of((int64_t)item.count * m.heads, team);
    for (int64_t at = range.first; at < range.end; at++) {
      const int64_t token = item.first + at / m.heads;
      const int head = (int)(at % m.heads);
      forget(s, running);
      for (int stretch = first_stretch(item, m.layer[layer].window); stretch < end_stretch(item); stretch++) {
        merge(s, running, partials_of(s, token, head, stretch));
      }
      finish(s, layer, running, token, head);
    }
  }
}

// gathered = attend(q, keys, values, mask, scale)
static void attend(const Step &s, const Team &team, int layer) {
  const Model &m = *s.model;
  const Scratch &own = s.scratch[team.index];
  if (!s.splits) {  // the last items, which see most, first
    const int total = s.item_count * m.kv_heads;
    for (int at = Team::take(s.next + layer); at < total; at = Team::take(s.next + layer)) {
      const Item &item = s.items[s.item_count - 1 - at / m.kv_heads];
      attend_whole(s, own, {layer, at % m.kv_heads, 0, item});
    }
    team.wait();
    return;
  }
  // Stretches that follow each other stay with one thread, which finds them loaded ahead of time.
  const auto each_unit = [&](auto use) {
    for (int i = 0; i < s.item_count; i++) {
      const Item &item = s.items[i];
      for (int kv_head = 0; kv_head < m.kv_heads; kv_head++) {
        for (int stretch = first_stretch(item, m.layer[layer].window); stretch < end_stretch(item); stretch++) {
          use(Unit{layer, kv_head, stretch, item});
        }
      }
    }
  };
  int64_t total = 0, number = 0;
  each_unit([&](const Unit &) { total++; });
  const Range mine = part_of(total, team);
  each_unit([&](const Unit &u) {
    if (number >= mine.first && number < mine.end) attend_part(s, own, u);
    number++;
  });
  team.wait();
  merge_stretches(s, team, layer);
  team.wait();
}
