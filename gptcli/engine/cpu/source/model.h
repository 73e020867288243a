// What crosses the border between Python and the kernels: plain structs, mirrored in abi.py.
#pragma once
#include <stdint.h>

enum Activation : int32_t { GELU = 0, GELU_TANH = 1, QUICK_GELU = 2, RELU = 3, SILU = 4, RELU_SQUARED = 5 };

// What mixes tokens in a layer. BY_STEP, DELTA: memories that steps, or strengths, write to; see recurrence.h.
enum Mixer : int32_t { NO_MIXER = 0, ATTENTION = 1, SHORT_CONV = 2, BY_STEP = 3, DELTA = 4 };

enum GateActivation : int32_t { SIGMOID = 0, SOFTPLUS = 1 };

constexpr int PARTS = 6, MOST_TAPS = 8;

enum Over : int32_t { NO_NORM = 0, EACH_HEAD_ALIKE = 1, EACH_HEAD = 2, ALL_HEADS = 3 };

// (rows, columns), as nn.Linear keeps its weight, in panels of 16 rows. data null: not there.
struct Matrix {
  const uint8_t *data;
  const float *bias;     // (rows rounded up to 16), or null
  const int32_t *order;  // (columns): which of what it reads meets each of its columns; null: that one
  int32_t kind, rows, columns;  // kind: its number in kinds.h
  float scale;                  // of all its numbers
};

// weight null: not there. The weight of an RMSNorm "with offset" has its 1 added already.
struct Norm {
  const float *weight, *bias;
};

// A mixer that has a state: how it filters what it reads, and what its memories are.
struct Recurrent {
  int32_t heads, key_heads, key_dim, value_dim;  // of memories; 0 for a short convolution
  int32_t by_turns;  // memory h has the queries and keys of head h % key_heads, not of h · key_heads / heads
  int32_t taps, norm_size, norm_shared, gate_first;
  float step_least, step_most, eps;
  const float *query_filter, *key_filter, *value_filter;  // (taps, features rounded up to 16), or null
  const float *query_bias, *key_bias, *value_bias;        // (features rounded up to 16), or null
  const float *step_bias, *decay_log, *skip;              // (heads); skip: or null
  Norm norm;                                              // weight null: not there
};

// Attention over latents: the features of these, of what meets keys made of them, and of latents that
// queries are made of, or 0. See latents.h.
struct Latents {
  int32_t rank, plain, query_rank;
  float eps;
  Norm norm, query_norm;
  Matrix query;          // (heads · (plain + turned), query_rank), data null where it reads the stream
  Matrix absorb, value;  // (heads · rank, plain), (heads · features of a value, rank)
};

struct LayerWeights {
  int32_t heads, kv_heads, head_dim, hidden;  // the sizes of this layer
  int32_t value_dim;                          // features that a head gathers
  int32_t mixer, thinks;                      // thinks: whether it has an MLP
  // What tokens are projected to, one behind the other, each rounded up to 16: queries, keys, values,
  // gates, steps, strengths; of a short convolution what comes before it and after it, and values; of
  // latent attention queries as they meet latents, latents, -, -, queries or their latents, queries of these.
  int32_t parts[PARTS], gathered;             // gathered: features of what `out` reads
  float part_scales[PARTS];                   // of each part
  float out_scale, mlp_scale;                 // of the updates
  // A mixer that reads what attention reads, and whose update is added to its; or null. Of what is
  // here it has what is its own.
  const LayerWeights *beside;
  Norm attention_norm, attention_post_norm, mlp_norm, mlp_post_norm, query_norm, key_norm;
  Matrix query, key, value, out;
  Matrix output_gate, step, strength;  // data null where there is none
  Recurrent recurrent;
  Latents latents;  // rank 0: keys and values are kept
  Matrix gate, up, down;  // gate: data null where there is none; of a mixture: its shared expert, if any
  Matrix router;          // data null: not a mixture
  Matrix latent_in, latent_out, shared_gate;  // data null: not there
  const Matrix *experts_gate, *experts_up, *experts_down;  // (experts)
  const float *correction, *expert_scales;    // (experts), or null
  const float *sinks;                         // (heads), or null
  const float *slopes;                        // (heads), what a score loses for each position of distance, or null
  Matrix told_gate, told_out;  // of what the layer is told of its token; see told.h
  Norm told_norm;
  Norm router_norm, experts_norm, experts_post_norm, shared_post_norm;  // of a mixture whose parts read apart
  int32_t cache, values_are_keys;  // cache: the layer whose keys and values it meets
  float scale;                     // of the stream as the layer leaves it
  const float *cos, *sin;                     // (positions, rope_dim / 2), or null
  int32_t rope_dim, interleaved, window;      // window 0: sees everything before it
  int32_t chunk;                              // 0: none; else it sees nothing before its own chunk
  int32_t sharpened_first, sharpened_length;  // length 0: queries are alike at all positions
  float attention_scale, sharpened_scale;
};

struct Model {
  int32_t width, vocab, layers;
  int32_t layernorm, activation, gated, norm_over_heads;
  int32_t experts, chosen, expert_hidden, normalised;
  int32_t sigmoid, groups, groups_chosen, group_best, on_input, latent;  // groups 0: none; latent 0: the width
  int32_t parallel;  // 1: both blocks read the stream before either is added; 2: and one norm
  int32_t positions_count, met, head_layernorm;  // met: one of Met
  int32_t gate_activation;  // of attention's output gate, which is of each head where it has as many rows
  int32_t norm_after_rope;  // of queries and keys
  float eps, head_eps, attention_softcap, gate_limit, up_offset;
  float router_softcap, share_scale;
  float gate_scale, embedding_scale, logit_scale, final_softcap;  // a cap or limit of 0: none
  float value_eps;  // of a norm of each head's values that has no weight; 0: none
  int32_t apart;       // what a mixture's parts read, each through a norm of its own
  float router_scale;  // of what the router gives
  int32_t told_size;  // of what each layer is told of a token, 0: nothing
  float told_scale;   // of what the table has
  Matrix told_table, told_project;  // (rows, layers · told_size), (layers · told_size, width)
  Norm told_norm;
  Matrix embedding;        // (vocab, width)
  const float *positions;  // (positions_count, width), or null
  Norm embedding_norm, final_norm;
  Matrix head;
  const LayerWeights *layer;  // (layers)
};

// What a forward copies out for a probe, of tokens first ≤ t < end: float32 without padding, null
// where it is not asked for. Updates are as they are added to the stream, queries as they meet keys.
struct LayerCopies {
  float *queries;                   // (end - first, heads, head_dim) of the layer
  float *attention, *mlp, *told, *stream;  // (end - first, width): updates, the stream behind them
  float *heads;                            // (end - first, gathered), what the output projection reads
  float *shares;                           // (end - first, experts), 0 for those not chosen
  // (end - first, parts): what the squares of a mixer's state sum to behind each token, of the blocks
  // of each memory, or of 16 features of the inputs of a short convolution.
  float *state;
};
struct Copies {
  int32_t first, end;
  float *embedding;         // (end - first, width)
  const LayerCopies *layer;  // (layers)
};

// What is changed on the way, at the same points: of a token, or of all where it is -1, the numbers
// first ≤ i < first + count become factor · x + add, where add is null factor · x. One after another.
struct Edit {
  const float *add;  // (count)
  int32_t token, first, count;
  float factor;
};
struct Edits {
  const Edit *edits;
  int64_t count;
};
// Of an expert that a token did not choose there is no share to change, and to none is anything added.
struct LayerEdits { Edits heads, attention, mlp, told, stream, shares; };
struct CallEdits {
  Edits embedding;
  const LayerEdits *layer;  // (layers)
};

// Σ x² over tokens of what matrices read, column by column, which a forward adds to.
struct LayerSquares {
  double *attention, *out, *mlp, *down;  // of query, key and value; …; gate, up and the router; …
  double *shared, *latent, *latent_sum;  // of a shared expert's down; experts' gate and up; latent_out
  double *beside;                        // of `out` of a mixer beside attention
  double *told, *told_out;               // of told_gate; …
};
struct Squares {
  const LayerSquares *layer;
  double *head;  // of the tokens that logits are wanted of
};

// What keys and values are kept as.
enum CacheKind : int32_t { CACHE_FLOAT32 = 0, CACHE_BFLOAT16 = 1, CACHE_FLOAT16 = 2, CACHE_INT8 = 3 };

// Keys and values of one layer: (batch, kv_heads, capacity, head_dim), or what codes.h has in place of
// head_dim, as cache.h says. Where the call has no tables, position p of a row is the one of number p -
// origins[row]. With tables these are `batch` pages of `capacity` positions, of which each of the
// call's rows has some: position p is in page table[row][p / capacity].
struct Kept {
  void *keys, *values;
  const int32_t *origins;  // (rows), multiples of 64; null: 0
  int32_t batch, capacity;
  int32_t near;  // which table: of layers that see all, or of those that do not
};

// One forward, of tokens in some of row_count rows.
struct Call {
  int32_t count, wanted_count, row_count, row_pages, cache_kind, angles;  // angles: rows of cos, sin
  const int32_t *tokens, *rows, *positions;  // (count)
  const int32_t *wanted;                     // (wanted_count), which tokens have logits, ascending
  const Kept *kept;                          // (layers)
  const int32_t *tables[2];                  // (row_count, row_pages), or null
  float *logits;                             // (wanted_count, vocab)
  const Copies *probe;                        // or null
  const Squares *squares;                     // or null
  // The states of mixers, float32, each of `slot_count`: inputs (taps - 1, features that are filtered)
  // and memory (heads, key_dim, value_dim rounded up to 16), of each layer, or null.
  void *const *inputs, *const *memory;
  const int32_t *slots;                       // which state each row has, or null: that of its number
  int32_t slot_count;
  const CallEdits *edits;  // or null
};
