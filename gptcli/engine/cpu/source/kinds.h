// Every kind of weights, over the vectors of the header that was included before this one.
#pragma once
#include "kinds/affine.h"
#include "kinds/bfloat16.h"
#include "kinds/float16.h"
#include "kinds/float32.h"
#include "kinds/float8.h"
#include "kinds/k_blocks.h"
#include "kinds/nvfp4.h"
#include "kinds/small_blocks.h"

// In the order of abi.Kind. A new kind is a file and its name at the end of both.
using Kinds = List<Float32, BFloat16, Float16, Coded<Q8_0>, Coded<Q4_0>, Coded<Q4_1>, Coded<Q5_0>, Coded<Q5_1>, Coded<Q2_K>,
                   Coded<Q3_K>, Coded<Q4_K>, Coded<Q5_K>, Coded<Q6_K>, Coded<IQ4_NL>, Coded<IQ4_XS>, Coded<MXFP4>, Coded<NVFP4>, Coded<AFFINE4_32>,
                   Coded<AFFINE4_64>, Coded<AFFINE4_128>, Coded<AFFINE5_64>, Coded<AFFINE6_64>, Coded<AFFINE8_32>,
                   Coded<AFFINE8_64>, Coded<AFFINE8_128>, Float8>;

// visit(the kind of that number): the one place where a number becomes a type.
template <class Visit>
static inline auto of_kind(int32_t number, Visit visit) {
  return of_number(Kinds{}, number, visit);
}

static inline int64_t panel_bytes(int32_t kind, int64_t columns) {
  return of_kind(kind, [&](auto k) { return (columns + k.STEP - 1) / k.STEP * k.STEP_BYTES; });
}

static inline int needs_of_kind(int32_t kind, int32_t met) {
  return of_kind(kind, [&](auto k) { return decltype(k)::needs(met); });
}
