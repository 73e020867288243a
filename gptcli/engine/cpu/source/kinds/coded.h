// Weights that are codes of a few bits, with a scale, and perhaps a minimum, for a group of them:
//
//   number = scale · (code - OFFSET) + minimum
//
// B says how: a struct with NAME; NUMBERS and BYTES of a block as the file has it, see blocks.h;
// Codes, see bits.h; GROUP, 16 or 32 columns that share a scale; OFFSET; MINIMUMS; HALVES
// and SMALLS, what of a block is no code: so many halves from byte HALVES_AT on, and so many bytes
// from SMALLS_AT on; codes_of(block, to), its codes column by column; scale<g>(head) and,
// where there are MINIMUMS, minimum<g>(head), those of a block's group g in 16 rows; meaning(codes), where codes stand for
// others, and TABLE, whether they do.
//
// A step is PER blocks of each row: first their heads, of each block 16 lanes of each half and 16 of
// each byte, then their chunks. It begins at a multiple of 64 bytes.
#pragma once
#include "bits.h"
#include "chunks.h"

template <class B>
struct Coded {
  static constexpr auto &NAME = B::NAME;
  static constexpr int CHUNKS_OF_BLOCK = B::NUMBERS / 32, GROUPS = 32 / B::GROUP;
  static constexpr int HEAD = 32 * B::HALVES + 16 * B::SMALLS;
  static constexpr int PER = HEAD % 64 == 0 || B::NUMBERS > 32 ? 1 : HEAD % 32 == 0 ? 2 : 4;
  static constexpr int HEADS = (PER * HEAD + 63) / 64 * 64;
  static constexpr bool WIDE = B::OFFSET > 64 || B::Codes::BYTES == Bits<8>::BYTES;  // codes, or what they stand for, beyond 63
  static constexpr int STEP = PER * B::NUMBERS, STEP_BYTES = HEADS + STEP / 32 * B::Codes::BYTES;
  template <class Form> static constexpr bool keeps = SAME<Form, B>;

  static int needs(int32_t met) { return met == MET_BYTES ? BYTES : met == MET_WORDS ? WORDS : SUMS; }

  static void keep(const uint8_t *row, int64_t columns, uint8_t *panel, int lane) {
    uint8_t codes[B::NUMBERS];
    for (int64_t b = 0; b < (columns + B::NUMBERS - 1) / B::NUMBERS; b++, row += B::BYTES) {
      uint8_t *step = panel + b / PER * STEP_BYTES, *head = step + b % PER * HEAD;
      for (int i = 0; i < B::HALVES; i++) memcpy(head + 32 * i + 2 * lane, row + B::HALVES_AT + 2 * i, 2);
      for (int i = 0; i < B::SMALLS; i++) head[32 * B::HALVES + 16 * i + lane] = row[B::SMALLS_AT + i];
      B::codes_of(row, codes);
      uint8_t *chunk = step + HEADS + b % PER * CHUNKS_OF_BLOCK * B::Codes::BYTES;
      for (int c = 0; c < CHUNKS_OF_BLOCK; c++) {
        uint64_t ordered[4];
        for (int m = 0; m < 4; m++) ordered[m] = in_code_order(codes + 32 * c + 8 * m);
        B::Codes::put(ordered, chunk + c * B::Codes::BYTES, lane);
      }
    }
  }

  template <int P>
  APART static void dots(int32_t met, const uint8_t *panel, int64_t next, int columns, const Reading &x, const int32_t *which, int count,
                         Floats *out) {
    if (met == MET_BYTES) met_in_spans<Bytes, P>(panel, next, columns, x, which, count, out);
    else if (met == MET_FLOATS) met_in_spans<FloatingPoint, P>(panel, next, columns, x, which, count, out);
    else if (P > 1 || count > 1) met_in_spans<Words, P>(panel, next, columns, x, which, count, out);
    else met_by_words(panel, columns, x, which[0], out);
  }

  APART static void read(const uint8_t *panel, int columns, int lane, float *to) {
    Span<FloatingPoint> span;
    for (int k = 0; k < columns; k += SPAN) {
      const int here = columns - k < SPAN ? columns - k : SPAN;
      unpack(panel, k, here, span);
      for (int i = 0; i < here; i++) {
        const int group = i / B::GROUP;
        const float code = ((const float *)span.vectors)[16 * i + lane], scaled = code * ((const float *)span.scales)[16 * group + lane];
        to[k + i] = B::MINIMUMS ? scaled + ((const float *)span.minimums)[16 * group + lane] : scaled;
      }
    }
  }

  // What a chunk's codes stand for, see bits.h.
  static constexpr int OFFSET = B::OFFSET;
  template <int V> static Ints code(const uint8_t *chunk) {
    if constexpr (B::TABLE) return B::meaning(B::Codes::template code<V>(chunk));
    else return B::Codes::template code<V>(chunk);
  }
  template <int I> static Ints pair(const uint8_t *chunk) {
    if constexpr (B::TABLE) return of_halves<8, odd_pair(I) ? 8 : 0, 0>(code<vector_of_pair(I)>(chunk));
    else return B::Codes::template pair<I>(chunk);
  }

 private:
  // Those of a block's groups.
  static constexpr int OF_BLOCK = B::NUMBERS / B::GROUP;
  static void heads(const uint8_t *head, Floats *scales, Floats *minimums) {
    each<OF_BLOCK>([&](auto g) {
      scales[g] = B::template scale<g.value>(head);
      if constexpr (B::MINIMUMS) minimums[g] = B::template minimum<g.value>(head);
    });
  }

  // use(the first of its chunks, the head of a block), for the blocks of columns from k on.
  template <class Use>
  static void walk(const uint8_t *panel, int k, int columns, Use use) {
    for (const int end = k + columns; k < end; k += B::NUMBERS) {
      const uint8_t *step = panel + k / STEP * STEP_BYTES;
      const int b = k % STEP / B::NUMBERS;
      use(step + HEADS + b * CHUNKS_OF_BLOCK * B::Codes::BYTES, step + b * HEAD);
    }
  }

  // Bytes by which memory is asked for before it is needed. What a step has is far enough apart that
  // some processors do not find out by themselves that all of a panel is read.
  static constexpr int AHEAD = 6144;
  static void ask_ahead(const uint8_t *chunk) {
    each<B::Codes::BYTES / 64>([&](auto line) { __builtin_prefetch(chunk + AHEAD + 64 * line); });
  }

  // One token at decode reads each weight once: nothing of it is kept.
  static void met_by_words(const uint8_t *panel, int columns, const Reading &x, int32_t token, Floats *out) {
    const Rounded row = Words::row(x, token);
    Floats total = splat(0.0f);
    int at = 0;  // the chunk
    walk(panel, 0, columns, [&](const uint8_t *chunk, const uint8_t *head) {
      Floats scales[OF_BLOCK], minimums[OF_BLOCK];
      heads(head, scales, minimums);
      ONE_BY_ONE for (int c = 0; c < CHUNKS_OF_BLOCK; c++, at++, chunk += B::Codes::BYTES) {
        ask_ahead(chunk);
        each<GROUPS>([&](auto g) {
          constexpr int EACH = Words::VECTORS / GROUPS;
          Ints part = splat_int(-B::OFFSET * sum_of<B::GROUP>(row, at, g));
          // Sums of what is raised alike have zeros below, and fit into 32 bits.
          constexpr bool RAISED = !B::TABLE && B::Codes::LOW == 4 &&
                                  (int64_t)EACH / 4 * 2 * 32767 * ((1 << B::Codes::BITS) - 1) << 8 <= INT32_MAX;
          if constexpr (!RAISED) {
            each<EACH>([&](auto i) {
              part = dot_words(part, pair<EACH * g.value + i.value>(chunk), splat_int(row.x[at * Words::VECTORS + EACH * g + i]));
            });
          } else {
            Ints raised[3] = {part, splat_int(0), splat_int(0)};
            each<EACH>([&](auto i) {
              constexpr int I = EACH * g.value + i.value, by = raised_by(I) / 4;
              raised[by] = dot_words(raised[by], B::Codes::template raised<I>(chunk), splat_int(row.x[at * Words::VECTORS + I]));
            });
            part = raised[0] + shift_signed_right<4>(raised[1]) + shift_signed_right<8>(raised[2]);
          }
          if constexpr (B::MINIMUMS) total = fma(minimums[c * GROUPS + g], splat(scaled_sum<B::GROUP>(row, at, g)), total);
          total = fma(to_floats(part), scales[c * GROUPS + g] * splat(row.scales[at]), total);
        });
      }
    });
    *out = total;
  }

  // Many tokens meet weights that were unpacked once for all of them.
  template <class Form, int P>
  static void met_in_spans(const uint8_t *panel, int64_t next, int columns, const Reading &x, const int32_t *which, int count,
                           Floats *out) {
    Span<Form> spans[P];
    for (int i = 0; i < P * count; i++) out[i] = splat(0.0f);
    constexpr int MOST = Form::template MOST<B::GROUP>;
    columns = (columns + 31) / 32 * 32;
    const int part = part_of_columns(columns, SPAN, B::NUMBERS);
    for (int k = 0; k < columns; k += part) {
      const int here = columns - k < part ? columns - k : part;
      for (int p = 0; p < P; p++) unpack(panel + p * next, k, here, spans[p]);
      for (int i = 0; i < count; i += MOST) {
        const auto add = [&](auto panels, auto tokens, int p) {
          add_spans<Form, B::GROUP, B::MINIMUMS, WIDE && SAME<Form, Bytes>, panels.value, tokens.value>(spans + p, B::OFFSET, k / 32, here / 32, x, which + i,
                                                                                    out + p * count + i, count);
        };
        const int left = count - i;
        if (P > 1 && left >= MOST) add(Number<P>{}, Number<MOST>{}, 0);
        else for (int p = 0; p < P; p++) of_tokens<MOST>(left < MOST ? left : MOST, [&](auto tokens) { add(Number<1>{}, tokens, p); });
      }
    }
  }

  template <class Form>
  APART static void unpack(const uint8_t *panel, int k, int columns, Span<Form> &to) {
    int at = 0;
    walk(panel, k, columns, [&](const uint8_t *chunk, const uint8_t *head) {
      Floats scales[OF_BLOCK], minimums[OF_BLOCK];
      heads(head, scales, minimums);
      for (int g = 0; g < OF_BLOCK; g++) {
        store(to.scales[at * GROUPS + g], scales[g]);
        if (B::MINIMUMS) store(to.minimums[at * GROUPS + g], minimums[g]);
      }
      ONE_BY_ONE for (int c = 0; c < CHUNKS_OF_BLOCK; c++, at++, chunk += B::Codes::BYTES) {
        ask_ahead(chunk);
        each<Form::VECTORS>([&](auto i) { to.keep(at * Form::VECTORS + i, Form::template kept<Coded, i.value>(chunk)); });
      }
    });
  }
};
