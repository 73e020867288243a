// Rows of floats → rows of blocks, WIDE at a time.
#pragma once
#include "../list.h"
#include "../quantising.h"
#include "blocks.h"

using Blocks = List<SymmetricBlock<4>, AffineBlock<4>, UnevenBlock, SymmetricBlock<5>, AffineBlock<5>, SymmetricBlock<8>,
                    AffineSuperBlock<4>, AffineSuperBlock<5>, SymmetricSuperBlock>;

template <class... Block>
static int number_of(List<Block...>, const char *name) {
  const char *names[] = {Block::NAME...};
  for (int i = 0; i < (int)sizeof...(Block); i++) if (!strcmp(names[i], name)) return i;
  return -1;
}

template <class Block>
static void quantise_rows(const Quantising &job, int64_t first) {
  const int64_t blocks = up(job.columns, Block::NUMBERS) / Block::NUMBERS;
  const int count = (int)(job.rows - first < WIDE ? job.rows - first : WIDE);
  Lanes x[Block::NUMBERS], w[Block::NUMBERS];
  uint8_t nowhere[Block::BYTES], *out[WIDE];
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t start = b * Block::NUMBERS;
    const int numbers = (int)(job.columns - start < Block::NUMBERS ? job.columns - start : Block::NUMBERS);
    Lanes unit = all(1);
    for (int i = 0; i < Block::NUMBERS; i++) {
      x[i] = all(0), w[i] = all(i >= numbers ? 0 : job.weights ? job.weights[start + i] : 1);
    }
    for (int lane = 0; lane < WIDE; lane++) {
      out[lane] = lane < count ? job.out + ((first + lane) * blocks + b) * Block::BYTES : nowhere;
      if (lane >= count) continue;
      const float *row = job.numbers + (first + lane) * job.columns + start;
      uint32_t top = 0;
      for (int i = 0; i < numbers; i++) {
        const uint32_t size = to_bits(row[i]) & 0x7fffffff;
        x[i][lane] = row[i], top = size > top ? size : top;
      }
      // Squares of what is around 1 neither vanish nor overflow.
      const uint32_t exponent = top & 0x7f800000;
      unit[lane] = exponent ? from_bits(exponent) : 1.1754944e-38f;  // 2^-126
    }
    for (int i = 0; i < numbers; i++) x[i] /= unit;
    const Lanes error = Block::put(x, w, unit, job.quick ? QUICK : THOROUGH, out);
    for (int lane = 0; lane < count; lane++) {
      job.errors[first + lane] += (double)error[lane] * unit[lane] * unit[lane];
    }
  }
}

// Whether there are such blocks.
static bool quantises(const char *block) { return number_of(Blocks{}, block) >= 0; }

// Rows one by one as threads get to them: a thread that has its processor to share would keep the
// others waiting for an equal part.
static void quantise_part(void *argument, const Team &) {
  QuantisingRun &run = *(QuantisingRun *)argument;
  const int64_t count = up(run.job.rows, WIDE) / WIDE;
  of_number(Blocks{}, number_of(Blocks{}, run.job.block), [&](auto block) {
    for (int64_t i; (i = Team::take(&run.next)) < count;) quantise_rows<decltype(block)>(run.job, i * WIDE);
  });
}
