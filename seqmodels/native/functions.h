// Functions of each float of a vector.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "products.h"

namespace seqmodels {

// May be read from any address of an int32.
typedef int32_t Integers __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Integers LoadIntegers(const int32_t* from) {
  return *reinterpret_cast<const Integers*>(from);
}

// a / b, for b of ordinary size: the division of 16 floats takes 5 times as long as a product.
inline Vector Divide(Vector a, Vector b) {
#if defined(__AVX512F__)
  const Vector guess = (Vector)_mm512_rcp14_ps((__m512)b), inverse = guess * (2.0f - b * guess);
  const Vector quotient = a * inverse;
  return quotient + inverse * (a - b * quotient);
#else
  return a / b;
#endif
}

// tanh by Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))), cut after 13 levels.
// Beyond 9 float32 has 1.
inline Vector Tanh(Vector x) {
  const Vector one = Vector{} + 1.0f;
  x = x < -9.0f ? -9.0f * one : x;
  x = x > 9.0f ? 9.0f * one : x;
  const Vector y = x * x;
  const Vector p =
      (((((y + 4095.0f) * y + 2552550.0f) * y + 523783260.0f) * y + 41247931725.0f) * y +
       1159525191825.0f) * y + 7905853580625.0f;
  const Vector q =
      (((((91.0f * y + 120120.0f) * y + 41351310.0f) * y + 5237832600.0f) * y +
        252070693875.0f) * y + 3794809718700.0f) * y + 7905853580625.0f;
  const Vector t = Divide(x * p, q);
  return t > 1.0f ? one : t < -1.0f ? -one : t;
}

inline Vector Sigmoid(Vector x) { return 0.5f * Tanh(0.5f * x) + 0.5f; }

// exp of numbers that are not above 0: 2^n times the Taylor series of what is left, which is at
// most ln(2) / 2. Below -87 it is exactly 0.
inline Vector Exp(Vector x) {
  constexpr float kLog2e = 1.44269504f, kLn2 = 0.693359375f, kRest = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: the sum has no digits behind the point
  const Vector shifted = x * kLog2e + kRound, n = shifted - kRound;
  const Vector r = (x - n * kLn2) - n * kRest;
  const Vector p =
      ((((((r * (1.0f / 5040) + 1.0f / 720) * r + 1.0f / 120) * r + 1.0f / 24) * r + 1.0f / 6) * r +
        0.5f) * r + 1.0f) * r + 1.0f;
  const Integers power = reinterpret_cast<const Integers&>(shifted) << 23;
  const Integers bits = reinterpret_cast<const Integers&>(p) + power;
  return x < -87.0f ? Vector{} : reinterpret_cast<const Vector&>(bits);
}

}  // namespace seqmodels
