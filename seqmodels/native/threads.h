// Work on the threads of XLA.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

namespace seqmodels {

// Runs work(0), ..., work(count - 1) and returns when all have ended. The caller takes part and
// waits only for what another thread has begun, so that busy threads cannot block it for ever.
inline void InParallel(xla::ffi::ThreadPool& pool, int64_t count,
                       const std::function<void(int64_t)>& work) {
  struct State {
    std::atomic<int64_t> next{0};
    int64_t ended = 0;
    std::mutex mutex;
    std::condition_variable all_ended;
  };
  auto state = std::make_shared<State>();
  // A thread that comes late finds nothing to do and does not touch `work`, which is gone.
  const std::function<void()> take = [state, count, &work] {
    for (int64_t n; (n = state->next.fetch_add(1)) < count;) {
      work(n);
      std::lock_guard<std::mutex> lock(state->mutex);
      if (++state->ended == count) state->all_ended.notify_all();
    }
  };
  const int64_t helpers = std::min(count, pool.num_threads()) - 1;
  for (int64_t n = 0; n < helpers; ++n) pool.Schedule(std::function<void()>(take));
  take();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all_ended.wait(lock, [&] { return state->ended == count; });
}

// Deals `size` items to the threads: work(first, last) for each share.
inline void Share(xla::ffi::ThreadPool& pool, int64_t size,
                  const std::function<void(int64_t, int64_t)>& work) {
  const int64_t shares = std::min(size, std::max<int64_t>(1, pool.num_threads()));
  InParallel(pool, shares,
             [&](int64_t n) { work(n * size / shares, (n + 1) * size / shares); });
}

}  // namespace seqmodels
