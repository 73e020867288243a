// exp, tanh, erf and the activations of an MLP, over sixteen lanes.
#pragma once
#include "model.h"

// torch.exp, within 2 units in the last place; below -87 it gives exp(-87), about 1e-38.
static inline Floats exp(Floats x) {
  x = min(splat(88.0f), max(splat(-87.0f), x));  // in this order, what is no number stays none
  const Ints n = rounded(x * splat(1.44269504f));
  const Floats whole = to_floats(n);
  // x = n ln 2 + r; ln 2 in two parts, so that the first product is exact.
  Floats r = fma(whole, splat(-0.693359375f), x);
  r = fma(whole, splat(2.12194440e-4f), r);
  Floats p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + splat(1.0f));
  return p * as_floats(shift_left<23>(n + splat_int(127)));
}

static inline Floats sigmoid(Floats x) { return splat(1.0f) / (splat(1.0f) + exp(splat(0.0f) - x)); }

// torch.nn.functional.softplus(x): log(1 + e^x), and x itself where that is large.
static inline Floats softplus(Floats x) {
  float each[16];
  store(each, x);
  for (int i = 0; i < 16; i++) each[i] = each[i] > 20.0f ? each[i] : log1pf(expf(each[i]));
  return load(each);
}

static inline Floats tanh(Floats x) {
  return splat(1.0f) - splat(2.0f) / (exp(x + x) + splat(1.0f));
}

// Abramowitz and Stegun, 7.1.26: within 1.5e-7.
static inline Floats erf(Floats x) {
  const Floats size = max(x, splat(0.0f) - x);
  const Floats t = splat(1.0f) / fma(size, splat(0.3275911f), splat(1.0f));
  Floats p = splat(1.061405429f);
  p = fma(p, t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = fma(p, t, splat(0.254829592f));
  const Floats positive = splat(1.0f) - p * t * exp(splat(0.0f) - size * size);
  const Ints sign = as_ints(x) & splat_int((int32_t)0x80000000);
  return as_floats(as_ints(positive) + sign);  // its own sign bit is 0
}

// cap · torch.tanh(x / cap)
static inline Floats softcapped(Floats x, float cap) {
  return cap == 0.0f ? x : splat(cap) * tanh(x / splat(cap));
}

// By its address: a struct of two registers that is handed over by value is pushed in pieces and waited for.
static inline Floats activated(const Floats &x, int32_t activation) {
  switch (activation) {
    case GELU:  // F.gelu(x)
      return splat(0.5f) * x * (splat(1.0f) + erf(x * splat(0.70710678f)));
    case GELU_TANH: {  // F.gelu(x, approximate="tanh"); (1 + tanh u) / 2 is sigmoid(2 u)
      const Floats u = splat(0.79788456f) * fma(splat(0.044715f) * x * x, x, x);
      return x * sigmoid(u + u);
    }
    case QUICK_GELU:  // x * torch.sigmoid(1.702 * x)
      return x * sigmoid(splat(1.702f) * x);
    case RELU:  // F.relu(x)
      return max(splat(0.0f), x);
    case RELU_SQUARED: {  // F.relu(x).square()
      const Floats positive = max(splat(0.0f), x);
      return positive * positive;
    }
    default:  // F.silu(x)
      return x * sigmoid(x);
  }
}
