// Every kind of weights, over the vectors of the header that was included before this one.
#pragma once
#include "kinds/bfloat16.h"
#include "kinds/float16.h"
#include "kinds/float32.h"
#include "kinds/int4.h"
#include "kinds/int8.h"

// In the order of abi.Kind. A new kind is a file and its name at the end of both.
using Kinds = List<Float32, BFloat16, Float16, Int8, Int4>;

// visit(the kind of that number): the one place where a number becomes a type.
template <class Visit>
static inline auto of_kind(int32_t number, Visit visit) {
  return of_number(Kinds{}, number, visit);
}

static inline int64_t panel_bytes(int32_t kind, int64_t columns) {
  return of_kind(kind, [&](auto k) {
    static_assert(ROW_MULTIPLE % k.STEP == 0, "rows of activations have to be padded further");
    return (columns + k.STEP - 1) / k.STEP * k.STEP_BYTES;
  });
}

static inline int needs_of_kind(int32_t kind, bool exact) {
  return of_kind(kind, [&](auto k) { return exact ? k.EXACT_NEEDS : k.NEEDS; });
}
