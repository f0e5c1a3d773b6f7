// Attention of one chunk and its gradient on a CPU, as custom calls of XLA, a block of queries at a
// time. The arguments and their shapes are in native/attention.py.

#include <cmath>
#include <limits>
#include <vector>

#include "functions.h"
#include "parallel.h"
#include "products.h"

namespace ffi = xla::ffi;

namespace seqmodels {
namespace {

constexpr int64_t kQueries = 5 * kMaxRows;  // of a block
constexpr float kHidden = -std::numeric_limits<float>::max();

struct Sizes {
  int64_t batch, heads, groups, queries, keys, width;  // width: K, numbers of a head
  int64_t key_columns() const { return RoundUp(keys, kPanel); }
  int64_t width_columns() const { return RoundUp(width, kPanel); }
};

struct Mask {
  bool causal;
  int64_t window;  // 0 = none
  const int32_t *query_positions, *query_segments, *key_positions, *key_segments;
  const bool *query_finite, *key_finite;

  Mask Row(int64_t row, const Sizes& s) const {
    const int64_t q = row * s.queries, k = row * s.keys;
    return {causal, window, query_positions + q, query_segments + q, key_positions + k,
            key_segments + k, query_finite + q, key_finite + k};
  }
  bool Sees(int64_t query, int64_t key) const {
    const int64_t distance = int64_t{query_positions[query]} - key_positions[key];
    return query_segments[query] == key_segments[key] && key_segments[key] > 0 &&
           (!causal || distance >= 0) && (window == 0 || distance < window);
  }
  // A query that is not finite or sees a key that is not has no result.
  bool Breaks(int64_t query, int64_t keys) const {
    for (int64_t key = 0; key < keys; ++key)
      if (!(query_finite[query] && key_finite[key]) && Sees(query, key)) return true;
    return false;
  }
};

// The least and the largest position and segment of some queries or keys.
struct Range {
  int32_t first_position, last_position, first_segment, last_segment;
};

Range RangeOf(const int32_t* positions, const int32_t* segments, int64_t size) {
  const auto [p, q] = std::minmax_element(positions, positions + size);
  const auto [r, t] = std::minmax_element(segments, segments + size);
  return {*p, *q, *r, *t};
}

// A panel of keys that some query of a block may see.
struct Panel {
  int64_t key;  // the first
  bool whole;   // every query of the block sees all of its keys
};

std::vector<Panel> Seen(const Mask& mask, const std::vector<Range>& keys, int64_t first,
                        int64_t count, const Sizes& s) {
  const Range q = RangeOf(mask.query_positions + first, mask.query_segments + first, count);
  std::vector<Panel> panels;
  for (size_t n = 0; n < keys.size(); ++n) {
    const Range& k = keys[n];
    const int64_t key = static_cast<int64_t>(n) * kPanel;
    const int64_t nearest = int64_t{q.first_position} - k.last_position;
    const int64_t farthest = int64_t{q.last_position} - k.first_position;
    if (k.last_segment <= 0 || k.first_segment > q.last_segment ||
        k.last_segment < q.first_segment || (mask.causal && farthest < 0) ||
        (mask.window > 0 && nearest >= mask.window))
      continue;
    const bool one = k.first_segment == k.last_segment && q.first_segment == q.last_segment;
    panels.push_back({key, one && key + kPanel <= s.keys && (!mask.causal || nearest >= 0) &&
                               (mask.window == 0 || farthest < mask.window)});
  }
  return panels;
}

// Calls work(column, key, count) for runs of panels that are neighbours: `count` keys from `key`
// on, whose scores are from `column` on.
template <typename Work>
void ForRuns(const std::vector<Panel>& panels, const Sizes& s, Work work) {
  for (size_t n = 0, end; n < panels.size(); n = end) {
    end = n + 1;
    while (end < panels.size() && panels[end].key == panels[end - 1].key + kPanel) ++end;
    const int64_t key = panels[n].key, last = std::min(s.keys, panels[end - 1].key + kPanel);
    work(static_cast<int64_t>(n) * kPanel, key, last - key);
  }
}

// x [rows, columns] as B of a product, or its transpose.
void Pack(const float* x, int64_t rows, int64_t columns, Packed& packed) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int64_t count = std::min<int64_t>(kPanel, columns - column);
    const Matrix from{x + column, columns, 1};
    from.CopyTo(packed.At(column), kPanel, rows, count);
  }
}

void PackTransposed(const float* x, int64_t rows, int64_t columns, Packed& packed) {
  for (int64_t row = 0; row < rows; row += kPanel) {
    const int64_t count = std::min<int64_t>(kPanel, rows - row);
    float* to = packed.At(row);
    for (int64_t k = 0; k < columns; ++k)
      for (int64_t n = 0; n < count; ++n) to[k * kPanel + n] = x[(row + n) * columns + k];
  }
}

// The queries of a block and their scores, a column for each key of the panels that are seen.
struct Block {
  const Sizes& s;
  const Mask& mask;
  Buffer q, scores, sums;
  int64_t stride = Stride(s.key_columns());
  int64_t first = 0, count = 0;
  std::vector<int32_t> positions, segments;  // of the keys and, segment 0, of the rest of a panel
  std::vector<Range> ranges;                 // of every panel
  std::vector<Panel> panels;

  Block(const Sizes& s, const Mask& mask)
      : s(s), mask(mask), q(kQueries * s.width), scores(kQueries * Stride(s.key_columns())),
        sums(kQueries * s.width_columns()),
        positions(mask.key_positions, mask.key_positions + s.keys),
        segments(mask.key_segments, mask.key_segments + s.keys) {
    positions.resize(s.key_columns()), segments.resize(s.key_columns());
    for (int64_t key = 0; key < s.keys; key += kPanel)
      ranges.push_back(RangeOf(mask.key_positions + key, mask.key_segments + key,
                               std::min<int64_t>(kPanel, s.keys - key)));
  }

  // Scales the queries and multiplies them by the keys.
  void Score(const float* queries, int64_t begin, const Packed& keys) {
    first = begin, count = std::min(kQueries, s.queries - begin);
    panels = Seen(mask, ranges, first, count, s);
    const float scale = 1.0f / std::sqrt(static_cast<float>(s.width));
    for (int64_t n = 0; n < count * s.width; ++n) q.get()[n] = queries[first * s.width + n] * scale;
    Product(q.get(), keys, scores.get());
  }

  // [count, keys that are seen] = A B, for A [count, K].
  void Product(const float* a, const Packed& keys, float* to) const {
    for (size_t n = 0; n < panels.size(); ++n) {
      MultiplyPanel({a, s.width, 1}, count, s.width, keys.panel(panels[n].key), to + n * kPanel,
                    stride, false);
    }
  }

  // sums [count, K] = A B, for A [count, keys that are seen] and B [S, K].
  void Sum(const float* a, const Packed& b) {
    const int64_t columns = s.width_columns();
    sums.Clear(count * columns);
    ForRuns(panels, s, [&](int64_t from, int64_t key, int64_t keys) {
      for (int64_t column = 0; column < columns; column += kPanel)
        MultiplyPanel({a + from, stride, 1}, count, keys, b.panel(column) + key * kPanel,
                      sums.get() + column, columns);
    });
  }

  // to [S, K] += A^T B, for A [count, keys that are seen] and B [count, K].
  void SumByKey(const float* a, const Packed& b, float* to) const {
    const int64_t columns = s.width_columns();
    ForRuns(panels, s, [&](int64_t from, int64_t key, int64_t keys) {
      for (int64_t column = 0; column < columns; column += kPanel)
        MultiplyPanel({a + from, 1, stride}, keys, count, b.panel(column),
                      to + key * columns + column, columns);
    });
  }

  // Calls work(column, seen) for each vector of the scores of a query; seen has all bits of a key
  // that is visible.
  template <typename Work>
  void ForScores(int64_t row, Work work) const {
    const Integers position = Integers{} + mask.query_positions[first + row];
    const Integers segment = Integers{} + mask.query_segments[first + row];
    const Integers window = Integers{} + static_cast<int32_t>(mask.window);
    const Integers causal = Integers{} - (mask.causal ? 1 : 0);
    for (size_t n = 0; n < panels.size(); ++n)
      for (int64_t v = 0; v < kPanel; v += kLanes) {
        const int64_t column = static_cast<int64_t>(n) * kPanel + v, key = panels[n].key + v;
        if (panels[n].whole) {
          work(column, ~Integers{});
          continue;
        }
        const Integers distance = position - LoadIntegers(positions.data() + key);
        const Integers segments = LoadIntegers(this->segments.data() + key);
        work(column, (segments == segment) & (segments > 0) & ((distance >= 0) | ~causal) &
                         ((distance < window) | (window == 0)));
      }
  }
};

// Of the lanes of a vector, in pairs.
template <typename Function>
float Reduce(Vector x, Function function) {
  float lanes[kLanes];
  Store(lanes, x);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int n = 0; n < half; ++n) lanes[n] = function(lanes[n], lanes[n + half]);
  return lanes[0];
}

inline float Total(Vector x) {
  return Reduce(x, [](float a, float b) { return a + b; });
}

inline float Largest(Vector x) {
  return Reduce(x, [](float a, float b) { return a > b ? a : b; });
}

// y, the largest score of each query, and 1 over the sum of its exponentials (0 without a result).
void Forward(const Sizes& s, const Mask& mask, bool finite, const float* q, const Packed& keys,
             const Packed& values, float* y, float* highest, float* inverse) {
  Block block(s, mask);
  for (int64_t begin = 0; begin < s.queries; begin += kQueries) {
    block.Score(q, begin, keys);
    for (int64_t row = 0; row < block.count; ++row) {
      float* scores = block.scores.get() + row * block.stride;
      Vector largest = Vector{} + kHidden, total{};
      block.ForScores(row, [&](int64_t column, Integers seen) {
        const Vector score = seen ? Load(scores + column) : Vector{} + kHidden;
        Store(scores + column, score);
        largest = score > largest ? score : largest;
      });
      const float most = Largest(largest);
      block.ForScores(row, [&](int64_t column, Integers seen) {
        const Vector weight = seen ? Exp(Load(scores + column) - most) : Vector{};
        Store(scores + column, weight);
        total += weight;
      });
      const float sum = Total(total);
      highest[begin + row] = most;
      inverse[begin + row] = sum > 0.0f ? 1.0f / sum : 0.0f;
    }
    block.Sum(block.scores.get(), values);
    for (int64_t row = 0; row < block.count; ++row) {
      const int64_t query = begin + row;
      const bool broken = !finite && mask.Breaks(query, s.keys);
      const float factor = broken ? std::numeric_limits<float>::quiet_NaN() : inverse[query];
      if (broken) inverse[query] = 0.0f;
      const float* from = block.sums.get() + row * s.width_columns();
      for (int64_t n = 0; n < s.width; ++n) y[query * s.width + n] = from[n] * factor;
    }
  }
}

// Adds the gradients by keys and values, [S, K] in rows of whole panels, and sets that by q.
struct Backward {
  const Sizes& s;
  const Mask& mask;
  const Packed &keys, &keys_transposed, &values_transposed;
  float *d_keys, *d_values;

  void Run(const float* q, const float* y, const float* highest, const float* inverse,
           const float* d_y, float* d_q) const {
    Block block(s, mask);
    Buffer slopes(kQueries * block.stride);
    for (int64_t begin = 0; begin < s.queries; begin += kQueries) {
      block.Score(q, begin, keys_transposed);
      const int64_t at = begin * s.width;
      block.Product(d_y + at, values_transposed, slopes.get());
      for (int64_t row = 0; row < block.count; ++row) {
        const float factor = inverse[begin + row], most = highest[begin + row];
        float through = 0.0f;  // sum over keys of weight times its gradient
        for (int64_t n = at + row * s.width; factor > 0.0f && n < at + (row + 1) * s.width; ++n)
          through += y[n] * d_y[n];
        float* scores = block.scores.get() + row * block.stride;
        float* by_score = slopes.get() + row * block.stride;
        block.ForScores(row, [&](int64_t column, Integers seen) {
          const Vector score = seen ? Load(scores + column) - most : Vector{} + kHidden;
          const Vector weight = Exp(score) * factor;
          Store(scores + column, weight);
          const Vector slope = weight * (Load(by_score + column) - through);
          Store(by_score + column, slope);
        });
      }
      block.Sum(slopes.get(), keys);
      const float scale = 1.0f / std::sqrt(static_cast<float>(s.width));
      for (int64_t row = 0; row < block.count; ++row)
        for (int64_t n = 0; n < s.width; ++n)
          d_q[at + row * s.width + n] = block.sums.get()[row * s.width_columns() + n] * scale;
      Packed rows(block.count, s.width);
      Pack(block.q.get(), block.count, s.width, rows);
      block.SumByKey(slopes.get(), rows, d_keys);
      Pack(d_y + at, block.count, s.width, rows);
      block.SumByKey(block.scores.get(), rows, d_values);
    }
  }
};

using Input = ffi::Buffer<ffi::F32>;
using Numbers = ffi::Buffer<ffi::S32>;
using Bits = ffi::Buffer<ffi::PRED>;
using Output = ffi::ResultBuffer<ffi::F32>;

Sizes SizesOf(const Input& q, const Input& k) {
  const auto of_q = q.dimensions(), of_k = k.dimensions();
  return {of_q[0], of_q[1], of_k[1], of_q[2], of_k[2], of_q[3]};
}

ffi::Error AttentionForward(ffi::ThreadPool pool, Input q, Input k, Input v,
                            Numbers query_positions, Numbers query_segments, Numbers key_positions,
                            Numbers key_segments, Bits query_finite, Bits key_finite, Output y,
                            Output highest, Output inverse, bool causal, int64_t window) {
  const Sizes s = SizesOf(q, k);
  const Mask masks{causal, window, query_positions.typed_data(), query_segments.typed_data(),
                   key_positions.typed_data(), key_segments.typed_data(),
                   query_finite.typed_data(), key_finite.typed_data()};
  InParallel(pool, s.batch * s.groups, [&](int64_t n) {
    const Mask mask = masks.Row(n / s.groups, s);
    const bool finite =
        std::memchr(mask.query_finite, 0, s.queries) == nullptr &&
        std::memchr(mask.key_finite, 0, s.keys) == nullptr;
    const int64_t at = n * s.keys * s.width, shared = s.heads / s.groups;
    Packed keys(s.width, s.keys), values(s.keys, s.width);
    PackTransposed(k.typed_data() + at, s.keys, s.width, keys);
    Pack(v.typed_data() + at, s.keys, s.width, values);
    for (int64_t head = n * shared; head < (n + 1) * shared; ++head) {
      const int64_t row = head * s.queries;
      Forward(s, mask, finite, q.typed_data() + row * s.width, keys, values,
              y->typed_data() + row * s.width, highest->typed_data() + row,
              inverse->typed_data() + row);
    }
  });
  return ffi::Error::Success();
}

ffi::Error AttentionBackward(ffi::ThreadPool pool, Input q, Input k, Input v,
                             Numbers query_positions, Numbers query_segments,
                             Numbers key_positions, Numbers key_segments, Bits query_finite,
                             Bits key_finite, Input y, Input highest, Input inverse, Input d_y,
                             Output d_q, Output d_k, Output d_v, bool causal, int64_t window) {
  const Sizes s = SizesOf(q, k);
  const Mask masks{causal, window, query_positions.typed_data(), query_segments.typed_data(),
                   key_positions.typed_data(), key_segments.typed_data(),
                   query_finite.typed_data(), key_finite.typed_data()};
  InParallel(pool, s.batch * s.groups, [&](int64_t n) {
    const Mask mask = masks.Row(n / s.groups, s);
    const int64_t at = n * s.keys * s.width, shared = s.heads / s.groups;
    const int64_t columns = s.width_columns();
    Packed keys(s.keys, s.width), keys_transposed(s.width, s.keys);
    Packed values_transposed(s.width, s.keys);
    Pack(k.typed_data() + at, s.keys, s.width, keys);
    PackTransposed(k.typed_data() + at, s.keys, s.width, keys_transposed);
    PackTransposed(v.typed_data() + at, s.keys, s.width, values_transposed);
    Buffer d_keys(s.keys * columns), d_values(s.keys * columns);
    d_keys.Clear(s.keys * columns), d_values.Clear(s.keys * columns);
    const Backward backward{s, mask, keys, keys_transposed, values_transposed, d_keys.get(),
                            d_values.get()};
    for (int64_t head = n * shared; head < (n + 1) * shared; ++head) {
      const int64_t row = head * s.queries, first = row * s.width;
      backward.Run(q.typed_data() + first, y.typed_data() + first, highest.typed_data() + row,
                   inverse.typed_data() + row, d_y.typed_data() + first,
                   d_q->typed_data() + first);
    }
    Matrix{d_keys.get(), columns, 1}.CopyTo(d_k->typed_data() + at, s.width, s.keys, s.width);
    Matrix{d_values.get(), columns, 1}.CopyTo(d_v->typed_data() + at, s.width, s.keys, s.width);
  });
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    attention_forward, AttentionForward,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Arg<Numbers>().Arg<Numbers>().Arg<Numbers>().Arg<Numbers>().Arg<Bits>().Arg<Bits>()
        .Ret<Input>().Ret<Input>().Ret<Input>()
        .Attr<bool>("causal").Attr<int64_t>("window"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    attention_backward, AttentionBackward,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Arg<Numbers>().Arg<Numbers>().Arg<Numbers>().Arg<Numbers>().Arg<Bits>().Arg<Bits>()
        .Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Ret<Input>().Ret<Input>().Ret<Input>()
        .Attr<bool>("causal").Attr<int64_t>("window"));

}  // namespace seqmodels
