#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

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

template <class Done>
void spin_until(Done done) {
  for (int spins = 0; !done(); spins++) {
    if (spins < SPINS_AT_BARRIER) relax();
    else std::this_thread::yield();
  }
}

}  // namespace

struct Pool {
  // On cache lines of their own, as all threads look at them all the time.
  alignas(64) std::atomic<uint32_t> job_number{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  alignas(64) std::atomic<int> sleeping{0};
  std::mutex mutex;
  std::condition_variable wake;
  bool ending = false;
  Job job = nullptr;
  void *argument = nullptr;
  int wanted, count = 1;
  std::vector<std::thread> threads;

  explicit Pool(int wanted) : wanted(wanted) {
    threads.reserve(wanted - 1);
    try {
      while ((int)threads.size() + 1 < wanted) {
        const int index = (int)threads.size() + 1;
        threads.emplace_back([this, index] { work(index); });
      }
    } catch (const std::system_error &) {
      // Fewer threads give the same numbers.
    }
    count = (int)threads.size() + 1;
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ending = true;
      job_number.fetch_add(1);
    }
    wake.notify_all();
    for (std::thread &thread : threads) thread.join();
  }

  void work(int index) {
    uint32_t last = 0;
    for (;;) {
      for (int spins = 0; job_number.load(std::memory_order_acquire) == last && spins < SPINS_WHEN_IDLE; spins++) relax();
      if (job_number.load(std::memory_order_acquire) == last) {
        std::unique_lock<std::mutex> lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return job_number.load() != last; });
        sleeping.fetch_sub(1);
      }
      last = job_number.load(std::memory_order_acquire);
      if (ending) return;
      job(argument, Team{this, index, count});
      running.fetch_sub(1, std::memory_order_release);
    }
  }

  void run(Job new_job, void *new_argument) {
    job = new_job, argument = new_argument;
    running.store(count - 1);
    job_number.fetch_add(1);
    if (sleeping.load() > 0) {
      { std::lock_guard<std::mutex> lock(mutex); }
      wake.notify_all();
    }
    job(argument, Team{this, 0, count});
    spin_until([&] { return running.load(std::memory_order_acquire) == 0; });
  }
};

void Team::wait() const {
  if (count == 1) return;
  const uint32_t phase = pool->phase.load(std::memory_order_relaxed);
  if (pool->arrived.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
    pool->arrived.store(0, std::memory_order_relaxed);
    pool->phase.store(phase + 1, std::memory_order_release);
  } else {
    spin_until([&] { return pool->phase.load(std::memory_order_acquire) != phase; });
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
