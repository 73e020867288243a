#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "crew.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace {

constexpr int SPINS_AT_BARRIER = 4000;  // then the processor is offered to others
constexpr int SPINS_WHEN_IDLE = 8000;   // some 0.2 ms, more than between two tokens; then sleep

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

using Clock = std::chrono::steady_clock;

// Returns how long it took beyond a first moment.
template <class Done>
Clock::duration spin_until(Done done) {
  for (int spins = 0; spins < SPINS_AT_BARRIER; spins++) {
    if (done()) return Clock::duration::zero();
    relax();
  }
  const Clock::time_point start = Clock::now();
  while (!done()) std::this_thread::yield();
  return Clock::now() - start;
}

}  // namespace

// What the word of a job has room for.
constexpr int MOST_THREADS = 65535;

struct Pool {
  // On cache lines of their own, as all threads look at them all the time.
  // Number of the job · 65536 + its threads: one word, since who has no part in a job may see it late.
  alignas(64) std::atomic<uint64_t> current{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  alignas(64) std::atomic<int> sleeping{0};
  std::atomic<int64_t> waited{0};  // by all threads of this job, in ticks of the clock
  Crew crew;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> ending{false};
  Job job = nullptr;
  void *argument = nullptr;
  int wanted;
  std::vector<std::thread> threads;

  explicit Pool(int wanted) : crew(1), wanted(wanted) {
    threads.reserve(wanted - 1);
    try {
      while ((int)threads.size() + 1 < wanted) {
        const int index = (int)threads.size() + 1;
        threads.emplace_back([this, index] { work(index); });
      }
    } catch (const std::system_error &) {
      // Fewer threads give the same numbers.
    }
    crew = Crew((int)threads.size() + 1);
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ending = true;
      start(0);
    }
    wake.notify_all();
    for (std::thread &thread : threads) thread.join();
  }

  void work(int index) {
    uint64_t last = 0;
    for (;;) {
      for (int spins = 0; current.load(std::memory_order_acquire) == last && spins < SPINS_WHEN_IDLE; spins++) relax();
      if (current.load(std::memory_order_acquire) == last) {
        std::unique_lock<std::mutex> lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return current.load() != last; });
        sleeping.fetch_sub(1);
      }
      last = current.load(std::memory_order_acquire);
      if (ending) return;
      const int at_work = (int)(last & MOST_THREADS);
      if (index >= at_work) continue;
      job(argument, Team{this, index, at_work});
      running.fetch_sub(1, std::memory_order_release);
    }
  }

  void add(Clock::duration time) {
    if (time.count()) waited.fetch_add(time.count(), std::memory_order_relaxed);
  }

  void start(int at_work) { current.store(((current.load() >> 16) + 1) << 16 | (uint64_t)at_work); }

  void run(Job new_job, void *new_argument) {
    const int at_work = crew.now;
    job = new_job, argument = new_argument;
    running.store(at_work - 1);
    waited.store(0, std::memory_order_relaxed);
    const Clock::time_point begin = Clock::now();
    start(at_work);
    if (at_work > 1 && sleeping.load() > 0) {
      { std::lock_guard<std::mutex> lock(mutex); }
      wake.notify_all();
    }
    job(argument, Team{this, 0, at_work});
    add(spin_until([&] { return running.load(std::memory_order_acquire) == 0; }));
    const Clock::duration all = at_work * (Clock::now() - begin);
    crew.learn((double)waited.load(std::memory_order_relaxed) / (double)all.count());
  }
};

void Team::wait() const {
  if (count == 1) return;
  const uint32_t phase = pool->phase.load(std::memory_order_relaxed);
  if (pool->arrived.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
    pool->arrived.store(0, std::memory_order_relaxed);
    pool->phase.store(phase + 1, std::memory_order_release);
  } else {
    pool->add(spin_until([&] { return pool->phase.load(std::memory_order_acquire) != phase; }));
  }
}

int32_t Team::take(int32_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

namespace {

std::mutex *one_run = new std::mutex;
Pool *pool = nullptr;

#ifndef _WIN32
// A child has none of the threads, and may have got the mutex locked: both are left behind.
void after_fork() {
  one_run = new std::mutex;
  pool = nullptr;
}
const int registered = pthread_atfork(nullptr, nullptr, after_fork);
#endif

// When the library is unloaded or the process ends.
struct AtEnd {
  ~AtEnd() { pool_close(); }
} at_end;

}  // namespace

void pool_run(int threads, Job job, void *argument) {
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  if (threads <= 1) {
    job(argument, Team{nullptr, 0, 1});
    return;
  }
  std::lock_guard<std::mutex> lock(*one_run);
  if (pool == nullptr || pool->wanted != threads) {
    delete pool;
    pool = new Pool(threads);
  }
  pool->run(job, argument);
}

void pool_close() {
  std::lock_guard<std::mutex> lock(*one_run);
  delete pool;
  pool = nullptr;
}
