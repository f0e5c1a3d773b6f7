// Work on the threads of XLA, and products that they share.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "products.h"
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

// work(first, count) for a few panels of `columns` columns at a time, whose sums stay in the cache.
inline void ByPanels(xla::ffi::ThreadPool& pool, int64_t columns,
                     const std::function<void(int64_t, int64_t)>& work) {
  const int64_t panels = (columns + kPanel - 1) / kPanel;
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t together = std::clamp<int64_t>(panels / threads, 1, 8) * kPanel;
  InParallel(pool, (columns + together - 1) / together, [&](int64_t n) {
    work(n * together, std::min(together, columns - n * together));
  });
}

// y [rows, columns] = A B; the columns may be fewer than those of the panels of B.
inline void MultiplyRows(xla::ffi::ThreadPool& pool, Matrix a, int64_t rows, const Packed& b,
                         float* y, int64_t columns) {
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t block = std::clamp<int64_t>((rows + threads - 1) / threads, 1, kRowsInCache);
  InParallel(pool, (rows + block - 1) / block, [&](int64_t n) {
    const int64_t row = n * block, some = std::min(block, rows - row), stride = Stride(b.columns());
    Buffer sums(some * stride);
    Multiply(a.From(row), some, b, sums.get(), stride, false);
    Matrix{sums.get(), stride, 1}.CopyTo(y + row * columns, columns, some, columns);
  });
}

}  // namespace seqmodels
