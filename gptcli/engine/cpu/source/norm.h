// LayerNorm and RMSNorm of one row of `n` features.
#pragma once

static inline float sum_of_squares(const float *x, int n, float mean) {
  Floats squares = splat(0.0f);
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    const Floats v = load(x + i) - splat(mean);
    squares = fma(v, v, squares);
  }
  if (i < n) {
    const Floats v = only(load_part(x + i, n - i) - splat(mean), 0, n - i, 0.0f);
    squares = fma(v, v, squares);
  }
  return sum(squares);
}

static inline float sum_of(const float *x, int n) {
  Floats total = splat(0.0f);
  int i = 0;
  for (; i + 16 <= n; i += 16) total = total + load(x + i);
  if (i < n) total = total + load_part(x + i, n - i);
  return sum(total);
}

// What a norm takes off each number, and what it then multiplies it with.
struct Moments { float mean, scale; };
static inline Moments moments_of(const float *x, int n, bool layernorm, float eps) {
  const float mean = layernorm ? sum_of(x, n) / (float)n : 0.0f;
  return {mean, 1.0f / sqrtf(sum_of_squares(x, n, mean) / (float)n + eps)};
}

// F.layer_norm(x, (n,), weight, bias, eps) or F.rms_norm(x, (n,), weight, eps), weight perhaps null.
// out may be x.
static inline void normalise(const float *x, float *out, int n, Norm norm, bool layernorm, float eps) {
  const auto [mean, scale] = moments_of(x, n, layernorm, eps);
  for (int i = 0; i < n; i += 16) {
    const int lanes = n - i < 16 ? n - i : 16;
    Floats v = (load_part(x + i, lanes) - splat(mean)) * splat(scale);
    if (norm.weight) v = v * load_part(norm.weight + i, lanes);
    if (norm.bias) v = v + load_part(norm.bias + i, lanes);
    store_part(out + i, v, lanes);
  }
}

// The same numbers in an order: out[k] is that of x[order[k]]. out is not x.
static inline void normalise_in_order(const float *x, float *out, int n, Norm norm, bool layernorm, float eps, const int32_t *order) {
  const auto [mean, scale] = moments_of(x, n, layernorm, eps);
  for (int k = 0; k < n; k++) {
    const int from = order[k];
    const float v = (x[from] - mean) * scale * norm.weight[from];
    out[k] = norm.bias ? v + norm.bias[from] : v;
  }
}
