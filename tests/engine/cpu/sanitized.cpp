// Forwards of small random models, for the sanitizers: every array is exactly as long as it has to
// be, several threads share the work, and several models are opened at once. Prints the sets of
// instructions that it ran.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <thread>
#include <vector>

#include "activations.h"
#include "model.h"
#include "quantising.h"

struct Opened;
extern "C" {
const char *kernels_set(const char *);
Opened *kernels_open(const Model *, const char *, int32_t);
void kernels_close(Opened *);
void kernels_end_threads();
int32_t kernels_forward(Opened *, const Call *);
int32_t kernels_unembed(Opened *, const float *, int32_t, float *);
int64_t kernels_panel_bytes(int32_t, int64_t);
const char *kernels_kind_name(int32_t);
int32_t kernels_product(const char *, const Matrix *, const float *, int32_t, int32_t, float *);
int32_t kernels_rows(const char *, const Matrix *, const int32_t *, int64_t, float *, int32_t);
int32_t kernels_pack(int32_t, int32_t, const uint8_t *, int64_t, int64_t, int64_t, uint8_t *, int64_t, int32_t);
int32_t kernels_quantise(const char *, const Quantising *, int32_t);
}

static int32_t kind_of(const char *name) {
  for (int32_t kind = 0; kernels_kind_name(kind); kind++) if (!strcmp(kernels_kind_name(kind), name)) return kind;
  abort();
}

static thread_local uint32_t state = 1;
static float number() {
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 16777216.0f - 0.5f;
}

static int up(int rows) { return (rows + 15) / 16 * 16; }

// Blocks: numbers and bytes of one, and where its halves are, or its floats,
// which the last block of a row may have for columns that are not there.
struct Blocks { const char *name; int numbers, bytes, halves[2], floats; };
static const Blocks BLOCKS[] = {
    {"q4_0", 32, 18, {0, 0}},    {"q5_0", 32, 22, {0, 0}},    {"q5_1", 32, 24, {0, 2}},    {"q2_k", 256, 84, {80, 82}},
    {"q3_k", 256, 110, {108, 108}}, {"q4_k", 256, 144, {0, 2}},  {"q5_k", 256, 176, {0, 2}},  {"q6_k", 256, 210, {208, 208}},
    {"q8_0", 32, 34, {0, 0}},    {"q4_1", 32, 20, {0, 2}},
    {"iq4_nl", 32, 18, {0, 0}},  {"iq4_xs", 256, 136, {0, 0}}, {"mxfp4", 32, 17, {-1, -1}}, {"nvfp4", 64, 36, {-1, -1}},
    {"affine4_32", 32, 40, {0, 0}, 2}, {"affine4_64", 64, 72, {0, 0}, 2}, {"affine4_128", 128, 136, {0, 0}, 2},
    {"affine5_64", 64, 72, {0, 0}, 2}, {"affine6_64", 64, 72, {0, 0}, 2}, {"affine8_32", 32, 40, {0, 0}, 2},
    {"affine8_64", 64, 72, {0, 0}, 2}, {"affine8_128", 128, 136, {0, 0}, 2}, {"float8", 128, 132, {0, 0}, 1},
};

static const Blocks *blocks_of(int32_t kind) {
  for (const Blocks &each : BLOCKS) if (!strcmp(each.name, kernels_kind_name(kind))) return &each;
  return nullptr;
}

// Random bytes, but for the scales, which are small.
static std::vector<uint8_t> random_blocks(const Blocks &of, int64_t count) {
  std::vector<uint8_t> out((size_t)(count * of.bytes));
  for (uint8_t &byte : out) byte = (uint8_t)(number() * 255.0f);
  const float small[2] = {0.01f, -0.02f};
  for (int64_t b = 0; of.floats && b < count; b++) memcpy(&out[b * of.bytes], small, (size_t)of.floats * 4);
  for (int64_t b = 0; !of.floats && b < count; b++) for (int at : of.halves) {
    if (at < 0) out[b * of.bytes] = 120;
    else out[b * of.bytes + at] = 0, out[b * of.bytes + at + 1] = of.numbers == 32 ? 0x20 : 0x10;  // 2^-7, 2^-11
  }
  return out;
}

// Random floats that became blocks, none where there is no search for these.
static std::vector<uint8_t> quantised(const char *set, const Blocks &to, int rows, int columns, bool quick, int threads) {
  std::vector<float> numbers((size_t)rows * columns), weights(columns);
  for (float &x : numbers) x = number();
  for (float &x : weights) x = 0.6f + number();
  std::vector<double> errors(rows);
  std::vector<uint8_t> out((size_t)rows * ((columns + to.numbers - 1) / to.numbers) * to.bytes);
  const Quantising job = {to.name, numbers.data(), rows, columns, quick ? nullptr : weights.data(), out.data(), errors.data(), quick};
  if (kernels_quantise(set, &job, threads)) out.clear();
  for (double error : errors) if (!(error >= 0.0 && error < 1.0 * columns)) abort();
  return out;
}

// The same blocks by each set of instructions, also of rows and columns that are not whole ones.
static void quantise_all(const char *set) {
  int searched = 0;
  for (const Blocks &each : BLOCKS) for (int columns : {1, 40, 256, 300}) for (bool quick : {false, true}) {
    const uint32_t before = state;
    const std::vector<uint8_t> ours = quantised(set, each, 21, columns, quick, 3);
    state = before;
    if (ours != quantised("portable", each, 21, columns, quick, 1)) abort();
    searched += !ours.empty();
  }
  if (searched != 9 * 4 * 2) abort();
}

// Everything that a model points to.
struct Small {
  Model model = {};
  std::vector<std::unique_ptr<char[]>> memory;
  std::vector<LayerWeights> layers;
  LayerWeights beside = {};
  std::vector<Matrix> gate, into, down;

  float *floats(int64_t count, float around = 0.0f) {
    memory.emplace_back(new char[count * 4]);
    float *p = (float *)memory.back().get();
    for (int64_t i = 0; i < count; i++) p[i] = around + number();
    return p;
  }

  Matrix matrix(int32_t kind, int32_t rows, int32_t columns, bool bias) {
    // Columns that are no whole blocks are in 8 bits, the last filled up with zeros.
    const Blocks *blocks = blocks_of(kind);
    const bool whole = !blocks || columns % blocks->numbers == 0 || (blocks->floats && blocks->numbers <= 64);
    if (!whole) kind = kind_of("q8_0"), blocks = blocks_of(kind);
    const int64_t panel = kernels_panel_bytes(kind, columns), panels = (rows + 15) / 16;
    memory.emplace_back(new char[panel * panels]);
    uint8_t *to = (uint8_t *)memory.back().get();
    if (blocks) {
      const int64_t each = (columns + blocks->numbers - 1) / blocks->numbers;
      const std::vector<uint8_t> from =
          whole ? random_blocks(*blocks, rows * each) : quantised("portable", *blocks, rows, columns, true, 3);
      if (kernels_pack(kind, kind, from.data(), each * blocks->bytes, rows, whole ? columns : each * blocks->numbers, to, panel, 3)) abort();
    } else {
      std::vector<float> from((size_t)rows * columns);
      for (float &x : from) x = number();
      if (kernels_pack(kind, 0, (const uint8_t *)from.data(), columns * 4, rows, columns, to, panel, 3)) abort();
    }
    return {to, bias ? floats(16 * panels) : nullptr, nullptr, kind, rows, columns, 0.5f};
  }

  // Its columns meet what it reads from the last to the first.
  void turn(Matrix &matrix) {
    memory.emplace_back(new char[matrix.columns * 4]);
    int32_t *order = (int32_t *)memory.back().get();
    for (int32_t i = 0; i < matrix.columns; i++) order[i] = matrix.columns - 1 - i;
    matrix.order = order;
  }

  // A mixer with a state, of parts that are no whole panels; with strengths or without.
  void fill_beside(int32_t kind, int32_t q8, Mixer mixer) {
    LayerWeights &w = beside;
    Recurrent &r = w.recurrent;
    w.mixer = mixer, w.hidden = layers[1].hidden;
    r.heads = 4, r.key_heads = 2, r.key_dim = 5, r.value_dim = 9, r.taps = 3, r.step_most = 1.5f;
    const int32_t parts[PARTS] = {10, 10, 36, 36, 4, 4};
    Matrix *const of[PARTS] = {&w.query, &w.key, &w.value, &w.output_gate, &w.step, &w.strength};
    for (int i = 0; i < PARTS; i++) {
      w.parts[i] = parts[i], w.part_scales[i] = 1.0f - 0.1f * i;
      if (i < 5 || mixer == DELTA) *of[i] = matrix(i % 2 ? q8 : kind, parts[i], model.width, i == 4);
    }
    w.gathered = 36, w.out = matrix(kind, model.width, 36, false), w.out_scale = 0.7f;
    r.query_filter = floats(3 * 16), r.key_filter = floats(3 * 16), r.value_filter = floats(3 * 48), r.value_bias = floats(48);
    r.step_bias = floats(16), r.decay_log = floats(16), r.skip = mixer == DELTA ? nullptr : floats(4);
    // Of each feature, in groups and gated first, or one for each head.
    r.norm.weight = floats(36, 1.0f), r.norm_size = mixer == DELTA ? 9 : 18, r.norm_shared = mixer == DELTA;
    r.gate_first = mixer != DELTA, r.eps = 1e-3f;
    layers[1].beside = &beside;
  }

  Small(int32_t kind, bool mixture, int32_t met) {
    Model &m = model;
    m.width = blocks_of(kind) && strcmp(kernels_kind_name(kind), "q8_0") ? 256 : 40, m.vocab = 37, m.layers = 2;
    m.activation = SILU, m.gated = 1, m.eps = m.head_eps = 1e-5f, m.met = met;
    m.gate_scale = m.embedding_scale = m.logit_scale = 1.0f;
    m.norm_over_heads = EACH_HEAD_ALIKE, m.attention_softcap = 20.0f;
    if (mixture) m.experts = 5, m.chosen = 2, m.expert_hidden = 23, m.normalised = 1;
    m.embedding = matrix(kind, m.vocab, m.width, false);
    m.final_norm.weight = floats(m.width, 1.0f);
    m.head = matrix(kind, m.vocab, m.width, true);
    layers.resize(m.layers);
    for (int i = 0; i < m.layers; i++) {
      LayerWeights &w = layers[i];
      w = {};
      // Neither layer is the larger one in all that it has.
      w.heads = i ? 9 : 6, w.kv_heads = i ? 3 : 2, w.head_dim = i ? 7 : 10, w.hidden = i ? 20 : 50, w.attention_scale = 0.3f;
      const int q = w.heads * w.head_dim, kv = w.kv_heads * w.head_dim, dim = w.head_dim / 2 * 2;
      w.cache = i, w.mixer = ATTENTION, w.thinks = 1, w.parts[0] = w.gathered = q, w.parts[1] = w.parts[2] = kv;
      w.out_scale = w.mlp_scale = 1.0f;
      for (float &scale : w.part_scales) scale = 1.0f;
      w.attention_norm.weight = floats(m.width, 1.0f), w.mlp_norm.weight = floats(m.width, 1.0f);
      w.query_norm.weight = floats(w.head_dim, 1.0f), w.key_norm.weight = floats(w.head_dim, 1.0f);
      w.query = matrix(kind, q, m.width, true), w.key = matrix(kind, kv, m.width, true);
      w.value = matrix(kind_of("q8_0"), kv, m.width, true);  // another kind than its neighbours
      w.out = matrix(kind, m.width, q, false);
      w.cos = floats(200 * dim / 2), w.sin = floats(200 * dim / 2), w.rope_dim = dim;
      w.window = i ? 70 : 0;
      w.sinks = floats(w.heads);
      if (!mixture) {
        w.gate = matrix(kind, w.hidden, m.width, false), w.up = matrix(kind, w.hidden, m.width, false);
        w.down = matrix(kind, m.width, w.hidden, false);
        if (i) turn(w.query), turn(w.out), turn(w.up), turn(w.down);
        continue;
      }
      w.router = matrix(kind_of("float32"), m.experts, m.width, false);
      if (!i) for (int e = 0; e < m.experts; e++) {
        gate.push_back(matrix(kind, m.expert_hidden, m.width, false));
        into.push_back(matrix(kind, m.expert_hidden, m.width, false));
        down.push_back(matrix(kind, m.width, m.expert_hidden, false));
      }
      w.experts_gate = gate.data(), w.experts_up = into.data(), w.experts_down = down.data();
    }
    fill_beside(kind, kind_of("q8_0"), mixture ? DELTA : BY_STEP);
    m.layer = layers.data();
  }
};

// A matrix by itself, times fewer and more tokens than any set takes at once.
static void products(const char *set, int32_t kind) {
  for (int rows : {1, 17}) for (int columns : {31, 65, 320, 768}) for (int count : {1, 14, 100}) for (int32_t met : {0, 1, 2}) {
    Small small(kind_of("float32"), false, met);
    const Matrix m = small.matrix(kind, rows, columns, false);
    std::vector<float> out((size_t)count * up(rows), NAN);
    if (kernels_product(set, &m, small.floats((int64_t)count * columns), count, met, out.data()) != 0) abort();
    for (float x : out) if (!isfinite(x)) abort();
    const int32_t which[] = {0, rows - 1, 0};
    std::vector<float> read((size_t)3 * columns, NAN);
    if (kernels_rows(set, &m, which, 3, read.data(), 2) != 0) abort();
    for (float x : read) if (!isfinite(x)) abort();
  }
}

// Memory for all that a probe can ask for, of the tokens from `first` on.
struct Shown {
  std::vector<std::vector<float>> memory;
  std::vector<LayerCopies> layers;
  Copies probe;

  float *floats(int count) {
    memory.emplace_back(count, NAN);
    return memory.back().data();
  }
  Shown(const Model &m, int first, int end) {
    const int rows = end - first, width = rows * m.width;
    for (int i = 0; i < m.layers; i++) {
      const int queries = rows * m.layer[i].heads * m.layer[i].head_dim;
      layers.push_back({floats(queries), floats(width), floats(width), nullptr, floats(width), floats(queries)});
    }
    probe = {first, end, floats(width), layers.data()};
  }
};

// Something is changed at every point: of all tokens, and of the first one.
struct Changed {
  const float added[3] = {0.25f, -0.5f, 1.0f};
  const Edit edits[2] = {{added, -1, 1, 3, 0.5f}, {nullptr, 0, 0, 4, 0.75f}}, share = {nullptr, -1, 0, 1, 0.5f};
  std::vector<LayerEdits> layers;
  CallEdits call;

  Changed(const Model &m, bool mixture) {
    const Edits each = {edits, 2};
    layers.assign(m.layers, {each, each, each, {}, each, {&share, mixture}});
    call = {each, layers.data()};
  }
};

// All logits of some prefills and single tokens, of two rows; every other step is looked into, and changed.
// Keys and values stand in one piece, or in pages that are not in order.
static std::vector<float> run(const char *set, int32_t kind, bool mixture, int32_t met, int threads, CacheKind cache,
                              bool paged = false) {
  state = 1;  // the same weights each time
  Small small(kind, mixture, met);
  std::vector<float> all;
  const Model &m = small.model;
  const int capacity = paged ? 64 : 160, batch = paged ? 6 : 2;
  const int32_t table[2][3] = {{4, 1, 5}, {0, 2, 3}};
  std::vector<std::vector<char>> caches;
  std::vector<void *> keys, values;
  for (int i = 0; i < 2 * m.layers; i++) {
    const LayerWeights &w = m.layer[i % m.layers];
    caches.emplace_back((size_t)batch * w.kv_heads * capacity * w.head_dim * (cache == CACHE_FLOAT32 ? 4 : 2));
    (i < m.layers ? keys : values).push_back(nullptr);
  }
  for (int i = 0; i < m.layers; i++) keys[i] = caches[i].data(), values[i] = caches[m.layers + i].data();
  // Of the second layer's mixer, for two rows: inputs (taps - 1, whole panels) and memories.
  std::vector<float> inputs(2 * 2 * 80), memory(2 * 4 * 5 * 16);
  void *all_inputs[2] = {nullptr, inputs.data()}, *all_memory[2] = {nullptr, memory.data()};
  Opened *opened = kernels_open(&m, set, threads);
  int length[2] = {0, 0};
  const int steps[][2] = {{33, 1}, {1, 1}, {1, 0}, {100, 0}, {1, 0}, {1, 140}, {7, 1}};
  bool probed = false;
  for (const auto &step : steps) {
    std::vector<int32_t> tokens, rows, positions, wanted;
    for (int row = 0; row < 2; row++) for (int i = 0; i < step[row]; i++) {
      tokens.push_back((int32_t)(state % m.vocab)), number();
      rows.push_back(row), positions.push_back(length[row]++);
    }
    for (int i = 0; i < (int)tokens.size(); i += 3) wanted.push_back(i);
    std::vector<float> logits(wanted.size() * m.vocab);
    std::vector<Kept> kept(m.layers);
    for (int i = 0; i < m.layers; i++) kept[i] = {keys[i], values[i], nullptr, batch, capacity, 0};
    Call call = {(int32_t)tokens.size(), (int32_t)wanted.size(), 2, paged ? 3 : 0, cache, 200,
                 tokens.data(), rows.data(), positions.data(), wanted.data(), kept.data(), {paged ? table[0] : nullptr, nullptr}, logits.data(), nullptr};
    call.inputs = all_inputs, call.memory = all_memory, call.slot_count = 2;
    Shown shown(m, call.count / 3, call.count);
    const Changed changed(m, mixture);
    if ((probed = !probed)) call.probe = &shown.probe, call.edits = &changed.call;
    if (kernels_forward(opened, &call) != 0) abort();
    if (probed) {
      for (const auto &numbers : shown.memory) for (float x : numbers) if (!isfinite(x)) abort();
      const int first = shown.probe.first, rows = call.count - first;
      std::vector<float> read((size_t)rows * m.vocab);
      if (kernels_unembed(opened, shown.layers.back().stream, rows, read.data()) != 0) abort();
      for (size_t i = 0; i < wanted.size(); i++) {
        if (wanted[i] < first) continue;
        const size_t bytes = m.vocab * sizeof(float);
        if (memcmp(&read[(wanted[i] - first) * m.vocab], &logits[i * m.vocab], bytes) != 0) abort();
      }
    }
    all.insert(all.end(), logits.begin(), logits.end());
  }
  kernels_close(opened);
  return all;
}

// Near the portable ones; where activations are rounded, most of them: a value that falls to the
// other side may choose another expert.
static void compare(const std::vector<float> &ours, const std::vector<float> &portable, bool rounded) {
  float largest = 0.0f;
  for (float x : portable) largest = fmaxf(largest, fabsf(x));
  size_t apart = 0;
  for (size_t i = 0; i < ours.size(); i++) {
    if (!isfinite(ours[i])) abort();
    if (!(fabsf(ours[i] - portable[i]) <= (rounded ? 2e-2f : 1e-4f) * largest)) apart++;
  }
  if (apart > (rounded ? ours.size() / 4 : 0)) {
    fprintf(stderr, "%zu of %zu apart\n", apart, ours.size());
    abort();
  }
}

int main() {
  const char *names[] = {"avx512bf16", "avx512", "avxvnni", "avx2", "neon", "portable"};
  for (const char *name : names) {
    if (!kernels_set(name)) continue;
    quantise_all(name);
    for (int32_t kind = 0; kernels_kind_name(kind); kind++) products(name, kind);
    for (int32_t kind = 0; kernels_kind_name(kind); kind++) for (int threads = 1; threads < 5; threads += 2) {
      const bool mixture = kind % 2;
      const CacheKind cache = !kind ? CACHE_FLOAT32 : kind / 2 % 2 ? CACHE_FLOAT16 : CACHE_BFLOAT16;
      const int32_t met = threads == 1 ? MET_FLOATS : kind % 3 ? MET_WORDS : MET_BYTES;
      const bool rounded = cache != CACHE_FLOAT32 || (met != MET_FLOATS && kind > 0);  // keys and values are, too
      compare(run(name, kind, mixture, met, threads, cache), run("portable", kind, mixture, met, 2, cache), rounded);
    }
    std::thread other([name] { run(name, kind_of("q8_0"), false, MET_WORDS, 3, CACHE_BFLOAT16); });
    const std::vector<float> whole = run(name, kind_of("q4_k"), true, MET_WORDS, 3, CACHE_FLOAT16);
    if (run(name, kind_of("q4_k"), true, MET_WORDS, 3, CACHE_FLOAT16, true) != whole) abort();
    other.join();
    puts(name);
  }
  kernels_end_threads();
}
