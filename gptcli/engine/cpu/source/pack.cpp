// Rows of numbers → panels of 16 rows, for each kind of weights and each form of numbers.
#include <vector>

#include "api.h"
#include "numbers.h"
#include "pool.h"
#include "step.h"

namespace {

// Only the part of a kind that packs is used here.
#include "vector_portable.h"
#include "forms.h"

struct Packing {
  const uint8_t *rows;
  int64_t row_bytes, count, columns;
  uint8_t *out;
  int64_t out_step;
};

// Whether rows of a form become a kind; floats become blocks in quantise.cpp.
template <class Kind, class Form> constexpr bool packs = Kind::template keeps<Form> || Form::NUMBERS == 1;
template <class Form> constexpr bool packs<Float8, Form> = SAME<Float8, Form>;
template <class B, class Form> constexpr bool packs<Coded<B>, Form> = SAME<B, Form>;

template <class Kind, class Form>
void pack_row(const uint8_t *row, int64_t columns, std::vector<float> &scratch, uint8_t *panel, int lane) {
  if constexpr (Kind::template keeps<Form>) {
    Kind::keep(row, columns, panel, lane);
  } else if constexpr (packs<Kind, Form>) {
    row_as_floats<Form>(row, columns, scratch.data());
    Kind::put(scratch.data(), columns, panel, lane);
  }
}

template <class Kind, class Form>
void pack_part(void *argument, const Team &team) {
  const Packing &p = *(const Packing *)argument;
  const Range range = part_of(up(p.count, 16) / 16, team);
  std::vector<float> scratch(up(p.columns, Kind::STEP));  // zeros, which stay after the last column
  const int64_t bytes = up(p.columns, Kind::STEP) / Kind::STEP * Kind::STEP_BYTES;
  for (int64_t b = range.first; b < range.end; b++) {
    uint8_t *panel = p.out + b * p.out_step;
    memset(panel, 0, bytes);
    for (int lane = 0; lane < 16 && 16 * b + lane < p.count; lane++) {
      pack_row<Kind, Form>(p.rows + (16 * b + lane) * p.row_bytes, p.columns, scratch, panel, lane);
    }
  }
}

}  // namespace

API int64_t kernels_panel_bytes(int32_t kind, int64_t columns) { return panel_bytes(kind, columns); }

// The names of kinds and forms, null from their count on.
API const char *kernels_kind_name(int32_t kind) {
  if (kind < 0 || kind >= Kinds::COUNT) return nullptr;
  return of_kind(kind, [](auto k) { return decltype(k)::NAME; });
}
API const char *kernels_form_name(int32_t form) {
  if (form < 0 || form >= Forms::COUNT) return nullptr;
  return of_number(Forms{}, form, [](auto f) { return decltype(f)::NAME; });
}

// Rows of `row_bytes` each → panels, `out_step` bytes from one to the next; 1 where rows of that form
// do not become that kind.
API int32_t kernels_pack(int32_t kind, int32_t form, const uint8_t *rows, int64_t row_bytes, int64_t count,
                      int64_t columns, uint8_t *out, int64_t out_step, int32_t threads) {
  Packing packing = {rows, row_bytes, count, columns, out, out_step};
  const Job job = of_kind(kind, [&](auto k) {
    return of_number(Forms{}, form, [&](auto f) -> Job {
      return packs<decltype(k), decltype(f)> ? pack_part<decltype(k), decltype(f)> : nullptr;
    });
  });
  if (!job) return 1;
  pool_run(threads, job, &packing);
  return 0;
}
