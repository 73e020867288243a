// Threads that stay, so that a token costs no starting of threads.
#pragma once
#include <stdint.h>

struct Pool;

// One thread's place among those that run a job together.
struct Team {
  Pool *pool;
  int index, count;
  // Until all have come here.
  void wait() const;
  // A number that nobody else gets.
  static int32_t take(int32_t *counter);
};

using Job = void (*)(void *argument, const Team &team);

// Run a job on so many threads at once, this one included, and return when all have ended.
// Calls from several threads run one after the other.
void pool_run(int threads, Job job, void *argument);
// End the threads; the next run makes new ones.
void pool_close();

// The part of 0 … total that a thread has.
struct Range { int64_t first, end; };
static inline Range part_of(int64_t total, const Team &team) {
  return {total * team.index / team.count, total * (team.index + 1) / team.count};
}
