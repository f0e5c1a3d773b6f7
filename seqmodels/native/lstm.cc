// An LSTM layer and its gradient on a CPU, as custom calls of XLA. The equations, the arguments and
// their shapes are in native/lstm.py; numbers are float32, arrays [B, T, ...] in this order.

#include "functions.h"
#include "parallel.h"
#include "products.h"

namespace ffi = xla::ffi;

namespace seqmodels {
namespace {

// Rows of states and gates are padded to whole vectors: 16 floats on every machine, since jax
// allocates what the forward pass keeps.
constexpr int64_t kAlignment = 16;
static_assert(kAlignment % kLanes == 0);

struct Sizes {
  int64_t batch, length, inputs, units;
  int64_t padded() const { return RoundUp(units, kAlignment); }
  int64_t width() const { return 4 * padded(); }  // of the gates; a multiple of kPanel
};

// A row of N floats, to or from a padded row.
void Copy(float* to, const float* from, const Sizes& s) { std::memcpy(to, from, 4 * s.units); }

// Calls work(column, offset, count) for pieces of rows of 4 N floats: `count` floats at `offset`
// are those at `column` of a padded row.
template <typename Work>
void ForPieces(const Sizes& s, int64_t first, int64_t last, Work work) {
  for (int64_t column = first; column < last; column += kLanes) {
    const int64_t gate = column / s.padded(), unit = column % s.padded();
    const int64_t count = std::min<int64_t>(kLanes, s.units - unit);
    if (count > 0) work(column, gate * s.units + unit, count);
  }
}

// Weights [size, 4 N] whose columns are padded gates.
Packed Pack(ffi::ThreadPool& pool, const float* weights, int64_t size, const Sizes& s) {
  Packed packed(size, s.width(), s.units == s.padded());
  Share(pool, s.width() / kPanel, [&](int64_t first, int64_t last) {
    ForPieces(s, first * kPanel, last * kPanel, [&](int64_t column, int64_t offset, int64_t count) {
      Matrix{weights + offset, 4 * s.units, 1}.CopyTo(packed.At(column), kPanel, size, count);
    });
  });
  return packed;
}

// The transpose of weights [columns, 4 N], whose rows are padded gates.
Packed PackTransposed(ffi::ThreadPool& pool, const float* weights, int64_t columns,
                      const Sizes& s) {
  Packed packed(s.width(), columns, s.units == s.padded() && columns % kPanel == 0);
  Share(pool, columns, [&](int64_t first, int64_t last) {
    for (int64_t column = first; column < last; ++column)
      for (int64_t gate = 0; gate < 4; ++gate) {
        const float* from = weights + (column * 4 + gate) * s.units;
        float* to = packed.At(column) + gate * s.padded() * kPanel;
        for (int64_t n = 0; n < s.units; ++n) to[n * kPanel] = from[n];
      }
  });
  return packed;
}

struct Marks {
  const bool *starts, *valid;
};

struct States {
  const float *h, *c;
};

// The loop over time.
struct Forward {
  const Sizes& s;
  const float *x, *bias;  // the bias is padded
  const Packed &kernel, &recurrent_kernel;
  States first_states, restart;
  Marks marks;
  float *hs, *last_c, *cs, *gates;  // cs and gates are kept for the gradient, or null

  // Rows [first, first + rows) of the batch.
  void Run(int64_t first, int64_t rows) const {
    const int64_t z_stride = Stride(s.width()), stride = Stride(s.units);
    const int64_t span = std::max<int64_t>(1, kRowsInCache / rows);  // steps of one product x W
    Buffer z(rows * span * z_stride), inputs(rows * span * Stride(s.inputs));
    Buffer h(rows * stride), c(rows * stride);
    h.Clear(rows * stride), c.Clear(rows * stride);
    const auto set = [&](int64_t row, const States& from) {
      Copy(h.get() + row * stride, from.h + (first + row) * s.units, s);
      Copy(c.get() + row * stride, from.c + (first + row) * s.units, s);
    };
    for (int64_t row = 0; row < rows; ++row) set(row, first_states);
    for (int64_t begin = 0; begin < s.length; begin += span) {
      const int64_t steps = std::min(span, s.length - begin), position = first * s.length + begin;
      for (int64_t n = 0; n < steps; ++n) {
        const Matrix from{x + (position + n) * s.inputs, s.length * s.inputs, 1};
        from.CopyTo(inputs.get() + n * rows * Stride(s.inputs), Stride(s.inputs), rows, s.inputs);
      }
      for (int64_t n = 0; n < steps * rows; ++n)
        std::memcpy(z.get() + n * z_stride, bias, 4 * s.width());
      Multiply({inputs.get(), Stride(s.inputs), 1}, steps * rows, kernel, z.get(), z_stride);
      for (int64_t n = 0; n < steps; ++n) {
        float* z_n = z.get() + n * rows * z_stride;
        for (int64_t row = 0; row < rows; ++row)
          if (marks.starts[position + n + row * s.length]) set(row, restart);
        Multiply({h.get(), stride, 1}, rows, recurrent_kernel, z_n, z_stride);
        for (int64_t row = 0; row < rows; ++row)
          Step(position + n + row * s.length, z_n + row * z_stride, h.get() + row * stride,
               c.get() + row * stride);
      }
    }
    for (int64_t row = 0; row < rows; ++row)
      Copy(last_c + (first + row) * s.units, c.get() + row * stride, s);
  }

  // One time step of one row; position = row * T + t.
  void Step(int64_t position, const float* z, float* h, float* c) const {
    const int64_t padded = s.padded();
    float* keep = gates == nullptr ? nullptr : gates + position * s.width();
    for (int64_t n = 0; marks.valid[position] && n < padded; n += kLanes) {
      const Vector i = Sigmoid(Load(z + n)), f = Sigmoid(Load(z + padded + n));
      const Vector g = Tanh(Load(z + 2 * padded + n)), o = Sigmoid(Load(z + 3 * padded + n));
      const Vector new_c = f * Load(c + n) + i * g;
      Store(c + n, new_c);
      Store(h + n, o * Tanh(new_c));
      if (keep == nullptr) continue;
      Store(keep + n, i), Store(keep + padded + n, f);
      Store(keep + 2 * padded + n, g), Store(keep + 3 * padded + n, o);
    }
    Copy(hs + position * s.units, h, s);
    if (cs != nullptr) std::memcpy(cs + position * padded, c, 4 * padded);
  }
};

// The loop over time from the end: the gradient by the pre-activations, and by the states.
struct Backward {
  const Sizes& s;
  const Packed& transposed;  // U^T
  States first_states, restart;
  Marks marks;
  const float *cs, *gates, *d_hs, *d_last_c;
  float* d_z;  // padded [B, T, 4 N]
  float *d_first_h, *d_first_c, *d_restart_h, *d_restart_c;

  // Rows [first, first + rows) of the batch.
  void Run(int64_t first, int64_t rows) const {
    const int64_t stride = Stride(transposed.columns()), z_stride = Stride(s.width());
    Buffer d_h(rows * stride), d_c(rows * stride), kept(rows * stride), z(rows * z_stride);
    d_h.Clear(rows * stride), d_c.Clear(rows * stride);
    std::memset(d_restart_h + first * s.units, 0, 4 * rows * s.units);
    std::memset(d_restart_c + first * s.units, 0, 4 * rows * s.units);
    for (int64_t row = 0; row < rows; ++row)
      Copy(d_c.get() + row * stride, d_last_c + (first + row) * s.units, s);
    for (int64_t t = s.length - 1; t >= 0; --t) {
      const int64_t position = first * s.length + t;
      for (int64_t row = 0; row < rows; ++row)
        Step(first + row, t, d_h.get() + row * stride, d_c.get() + row * stride,
             z.get() + row * z_stride);
      std::swap(kept, d_h);
      Multiply({z.get(), z_stride, 1}, rows, transposed, d_h.get(), stride, false);
      for (int64_t row = 0; row < rows; ++row) {
        float *by_h = d_h.get() + row * stride, *by_c = d_c.get() + row * stride;
        if (!marks.valid[position + row * s.length]) Copy(by_h, kept.get() + row * stride, s);
        if (marks.starts[position + row * s.length]) ToRestart(first + row, by_h, by_c);
      }
    }
    for (int64_t row = 0; row < rows; ++row) {
      Copy(d_first_h + (first + row) * s.units, d_h.get() + row * stride, s);
      Copy(d_first_c + (first + row) * s.units, d_c.get() + row * stride, s);
    }
  }

  void ToRestart(int64_t row, float* by_h, float* by_c) const {
    for (int64_t n = 0; n < s.units; ++n) {
      d_restart_h[row * s.units + n] += by_h[n];
      d_restart_c[row * s.units + n] += by_c[n];
      by_h[n] = by_c[n] = 0.0f;
    }
  }

  // One time step of one row: d_h becomes the gradient by h', d_c that by the c before, z that by
  // the pre-activations.
  void Step(int64_t row, int64_t t, float* d_h, float* d_c, float* z) const {
    const int64_t position = row * s.length + t, padded = s.padded();
    const bool start = marks.starts[position];
    const States& from = start ? restart : first_states;
    const bool inside = !start && t > 0;
    for (int64_t n = 0; n < s.units; ++n) d_h[n] += d_hs[position * s.units + n];
    float* to = d_z + position * s.width();
    if (!marks.valid[position]) {
      std::memset(z, 0, 4 * s.width());
      std::memset(to, 0, 4 * s.width());
      return;
    }
    const float *c = cs + position * padded, *keep = gates + position * s.width();
    for (int64_t n = 0; n < padded; n += kLanes) {
      const Vector i = Load(keep + n), f = Load(keep + padded + n);
      const Vector g = Load(keep + 2 * padded + n), o = Load(keep + 3 * padded + n);
      const Vector tanh_c = Tanh(Load(c + n)), d = Load(d_h + n);
      Vector before{};
      if (inside)
        before = Load(c + n - padded);
      else if (n < s.units)
        std::memcpy(&before, from.c + row * s.units + n,
                    4 * std::min<int64_t>(kLanes, s.units - n));
      const Vector by_c = Load(d_c + n) + d * o * (1.0f - tanh_c * tanh_c);
      Store(z + n, by_c * g * i * (1.0f - i));
      Store(z + padded + n, by_c * before * f * (1.0f - f));
      Store(z + 2 * padded + n, by_c * i * (1.0f - g * g));
      Store(z + 3 * padded + n, d * tanh_c * o * (1.0f - o));
      Store(d_c + n, by_c * f);
    }
    std::memcpy(to, z, 4 * s.width());
  }
};

// Sums over all positions of (x, h)^T dz and dz, for the columns of some panels.
struct Weights {
  const Sizes& s;
  States first_states, restart;
  Marks marks;
  const float *x, *hs, *d_z;
  float *d_kernel, *d_recurrent_kernel, *d_bias;

  // Columns [begin, begin + count) of padded gates; count is one of whole panels.
  void Run(int64_t begin, int64_t count) const {
    const int64_t size = s.inputs + s.units, stride = Stride(count);
    Buffer sums(size * stride), totals(count);
    const auto copy = [&](int64_t position, float* to) {
      std::memcpy(to, x + position * s.inputs, 4 * s.inputs);
      Copy(to + s.inputs, HBefore(position), s);
    };
    SumOuterProducts(s.batch * s.length, size, copy, {d_z + begin, s.width(), 1}, count, sums.get(),
                     stride, totals.get());
    ForPieces(s, begin, begin + count, [&](int64_t column, int64_t offset, int64_t floats) {
      const Matrix from{sums.get() + column - begin, stride, 1};
      from.CopyTo(d_kernel + offset, 4 * s.units, s.inputs, floats);
      from.From(s.inputs).CopyTo(d_recurrent_kernel + offset, 4 * s.units, s.units, floats);
      std::memcpy(d_bias + offset, totals.get() + column - begin, 4 * floats);
    });
  }

  const float* HBefore(int64_t position) const {
    const int64_t row = position / s.length;
    if (marks.starts[position]) return restart.h + row * s.units;
    return position % s.length == 0 ? first_states.h + row * s.units
                                    : hs + (position - 1) * s.units;
  }
};

using Input = ffi::Buffer<ffi::F32>;
using Bits = ffi::Buffer<ffi::PRED>;
using Output = ffi::ResultBuffer<ffi::F32>;

Sizes SizesOf(const Input& x, const Input& recurrent_kernel) {
  const auto shape = x.dimensions();
  return {shape[0], shape[1], shape[2], recurrent_kernel.dimensions()[0]};
}

ffi::Error LstmForward(ffi::ThreadPool pool, Input x, Input kernel, Input recurrent_kernel,
                       Input bias, Input h, Input c, Input restart_h, Input restart_c, Bits starts,
                       Bits valid, Output hs, Output last_c, Output cs, Output gates) {
  const Sizes s = SizesOf(x, recurrent_kernel);
  const Packed w = Pack(pool, kernel.typed_data(), s.inputs, s);
  const Packed u = Pack(pool, recurrent_kernel.typed_data(), s.units, s);
  Buffer b(s.width());
  b.Clear(s.width());
  ForPieces(s, 0, s.width(), [&](int64_t column, int64_t offset, int64_t count) {
    std::memcpy(b.get() + column, bias.typed_data() + offset, 4 * count);
  });
  const bool keep = gates->element_count() > 0;
  const Forward forward{s, x.typed_data(), b.get(), w, u,
                        {h.typed_data(), c.typed_data()},
                        {restart_h.typed_data(), restart_c.typed_data()},
                        {starts.typed_data(), valid.typed_data()},
                        hs->typed_data(), last_c->typed_data(),
                        keep ? cs->typed_data() : nullptr, keep ? gates->typed_data() : nullptr};
  Share(pool, s.batch, [&](int64_t first, int64_t last) { forward.Run(first, last - first); });
  return ffi::Error::Success();
}

ffi::Error LstmBackward(ffi::ThreadPool pool, Input x, Input kernel, Input recurrent_kernel,
                        Input h, Input c, Input restart_h, Input restart_c, Bits starts, Bits valid,
                        Input hs, Input cs, Input gates, Input d_hs, Input d_last_c, Output d_x,
                        Output d_kernel, Output d_recurrent_kernel, Output d_bias, Output d_h,
                        Output d_c, Output d_restart_h, Output d_restart_c, Output d_z_result) {
  const Sizes s = SizesOf(x, recurrent_kernel);
  const int64_t positions = s.batch * s.length;
  float* d_z = d_z_result->typed_data();  // a result so that XLA plans its memory; nobody reads it
  const Packed by_h = PackTransposed(pool, recurrent_kernel.typed_data(), s.units, s);
  const States first_states{h.typed_data(), c.typed_data()};
  const States restart{restart_h.typed_data(), restart_c.typed_data()};
  const Marks marks{starts.typed_data(), valid.typed_data()};
  const Backward backward{s, by_h, first_states, restart, marks, cs.typed_data(),
                          gates.typed_data(), d_hs.typed_data(), d_last_c.typed_data(), d_z,
                          d_h->typed_data(), d_c->typed_data(), d_restart_h->typed_data(),
                          d_restart_c->typed_data()};
  Share(pool, s.batch, [&](int64_t first, int64_t last) { backward.Run(first, last - first); });
  const Weights weights{s, first_states, restart, marks, x.typed_data(), hs.typed_data(), d_z,
                        d_kernel->typed_data(), d_recurrent_kernel->typed_data(),
                        d_bias->typed_data()};
  ByPanels(pool, s.width(), [&](int64_t first, int64_t count) { weights.Run(first, count); });
  const Packed by_x = PackTransposed(pool, kernel.typed_data(), s.inputs, s);
  MultiplyRows(pool, {d_z, s.width(), 1}, positions, by_x, d_x->typed_data(), s.inputs);
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_forward, LstmForward,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
        .Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Arg<Input>().Arg<Input>().Arg<Bits>().Arg<Bits>()
        .Ret<Input>().Ret<Input>().Ret<Input>().Ret<Input>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_backward, LstmBackward,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
        .Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Arg<Input>().Arg<Bits>().Arg<Bits>().Arg<Input>().Arg<Input>().Arg<Input>().Arg<Input>()
        .Arg<Input>()
        .Ret<Input>().Ret<Input>().Ret<Input>().Ret<Input>().Ret<Input>().Ret<Input>()
        .Ret<Input>().Ret<Input>().Ret<Input>());

}  // namespace seqmodels
