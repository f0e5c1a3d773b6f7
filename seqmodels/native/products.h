// Products of float32 matrices for kernels that multiply by the same matrix many times: it is
// packed once. A row of a product has the same bits whatever rows are beside it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace seqmodels {

// Floats in a register, and the rows whose sums fit in the registers of one core.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kMaxRows = 12;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kMaxRows = 6;
#else
constexpr int kLanes = 4, kMaxRows = 6;
#endif
constexpr int kPanel = 2 * kLanes;  // columns that are computed at a time
constexpr int kRowsInCache = 192;   // rows of A that stay in the cache while panels of B pass

// May be read from any address of a float.
typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vector Load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void Store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

inline int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// The distance of rows of n floats in a buffer. Rows whose distance is a multiple of 4 kB would
// share their places in the cache and drive one another out.
inline int64_t Stride(int64_t n) { return RoundUp(n, 16) + 16; }

// Floats on a cache line of their own; not initialised.
class Buffer {
 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<float*>(std::aligned_alloc(64, RoundUp(4 * size + 1, 64)))) {}
  float* get() const { return data_.get(); }
  void Clear(int64_t size) { std::memset(get(), 0, 4 * size); }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
};

// Element (row, k) is data[row * row_stride + k * k_stride].
struct Matrix {
  const float* data;
  int64_t row_stride, k_stride;
  Matrix From(int64_t row) const { return {data + row * row_stride, row_stride, k_stride}; }
  void CopyTo(float* to, int64_t stride, int64_t rows, int64_t size) const {
    for (int64_t row = 0; row < rows; ++row)
      std::memcpy(to + row * stride, data + row * row_stride, 4 * size);
  }
};

// C = A B, or with `add` C += A B, for R rows and P panels of B, which have kPanel numbers for a k.
template <int R, int P>
void Tile(Matrix a, int64_t size, const float* panels, float* c, int64_t c_stride, bool add) {
  constexpr int V = 2 * P;
  Vector sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v)
      sum[r][v] = add ? Load(c + r * c_stride + v * kLanes) : Vector{};
  for (int64_t k = 0; k < size; ++k) {
    Vector b[V];
    for (int v = 0; v < V; ++v)
      b[v] = Load(panels + v / 2 * size * kPanel + k * kPanel + v % 2 * kLanes);
    const float* column = a.data + k * a.k_stride;
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const float x = column[r * a.row_stride];
      for (int v = 0; v < V; ++v) sum[r][v] += x * b[v];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) Store(c + r * c_stride + v * kLanes, sum[r][v]);
}

template <int... N>
void TileOf(int rows, std::integer_sequence<int, N...>, Matrix a, int64_t size, const float* panel,
            float* c, int64_t c_stride, bool add) {
  using Function = void (*)(Matrix, int64_t, const float*, float*, int64_t, bool);
  static constexpr Function tiles[] = {Tile<N + 1, 1>...};
  tiles[rows - 1](a, size, panel, c, c_stride, add);
}

// The same for one panel; rows are dealt evenly, because a tile of one row is slow.
inline void MultiplyPanel(Matrix a, int64_t rows, int64_t size, const float* panel, float* c,
                          int64_t c_stride, bool add = true) {
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t n = 0; n < tiles; ++n) {
    const int64_t row = n * rows / tiles, count = (n + 1) * rows / tiles - row;
    TileOf(static_cast<int>(count), std::make_integer_sequence<int, kMaxRows>(), a.From(row), size,
           panel, c + row * c_stride, c_stride, add);
  }
}

// B [size, columns] as panels one after another, with zeros beyond its last column.
class Packed {
 public:
  // `filled`: every number will be set.
  Packed(int64_t size, int64_t columns, bool filled = false)
      : size_(size), columns_(RoundUp(columns, kPanel)), buffer_(size_ * columns_) {
    if (!filled) buffer_.Clear(size_ * columns_);
  }
  int64_t size() const { return size_; }
  int64_t columns() const { return columns_; }
  const float* panel(int64_t column) const { return buffer_.get() + column * size_; }
  // Element (k, column) is At(0, column)[k * kPanel].
  float* At(int64_t column) {
    return buffer_.get() + column / kPanel * kPanel * size_ + column % kPanel;
  }

 private:
  int64_t size_, columns_;
  Buffer buffer_;
};

// C = A B, or C += A B. C has as many columns as the panels of B. A single row takes several panels
// at a time, since each sum waits for the one before.
inline void Multiply(Matrix a, int64_t rows, const Packed& b, float* c, int64_t c_stride,
                     bool add = true) {
  constexpr int kTogether = 4;
  for (int64_t row = 0; row < rows; row += kRowsInCache)
    for (int64_t column = 0, panels; column < b.columns(); column += panels * kPanel) {
      panels = rows == 1 && column + kTogether * kPanel <= b.columns() ? kTogether : 1;
      float* to = c + row * c_stride + column;
      if (panels == kTogether)
        Tile<1, kTogether>(a, b.size(), b.panel(column), to, c_stride, add);
      else
        MultiplyPanel(a.From(row), std::min<int64_t>(kRowsInCache, rows - row), b.size(),
                      b.panel(column), to, c_stride, add);
    }
}

// Sums over `rows` rows of a^T d and of d, for `count` columns of d: sums [size, count] with rows
// `stride` apart, and totals [count], both of whole panels. copy(row, to) writes a row of a.
template <typename Copy>
void SumOuterProducts(int64_t rows, int64_t size, Copy copy, Matrix d, int64_t count, float* sums,
                      int64_t stride, float* totals) {
  constexpr int64_t kRows = 256;  // whose panel of d, and a few columns of a, stay in the cache
  Buffer a(kRows * Stride(size)), panel(kRows * kPanel);
  panel.Clear(kRows * kPanel);
  std::memset(totals, 0, 4 * RoundUp(count, kPanel));
  for (int64_t first = 0; first < rows; first += kRows) {
    const int64_t some = std::min(kRows, rows - first);
    for (int64_t row = 0; row < some; ++row) copy(first + row, a.get() + row * Stride(size));
    for (int64_t column = 0; column < count; column += kPanel) {
      const Matrix from{d.From(first).data + column, d.row_stride, 1};
      from.CopyTo(panel.get(), kPanel, some, std::min<int64_t>(kPanel, count - column));
      MultiplyPanel({a.get(), 1, Stride(size)}, size, some, panel.get(), sums + column, stride,
                    first > 0);
      for (int64_t row = 0; row < some; ++row)
        for (int64_t n = 0; n < kPanel; ++n) totals[column + n] += panel.get()[row * kPanel + n];
    }
  }
}

}  // namespace seqmodels
