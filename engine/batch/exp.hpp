#pragma once
// e^x for x <= 0 with the same bits on every machine: additions, multiplications and integer shifts
// only, no libm. Within 1 ulp or so of the true value.
#include <bit>
#include <cstdint>

namespace aorta::engine {

// Two at a time (SSE2, which every x86-64 has), element by element the bits of one at a time.
using TwoDoubles = double __attribute__((vector_size(16)));
using TwoWords = std::uint64_t __attribute__((vector_size(16)));

// Below this e^x counts as 0: 150,000 such terms are nothing beside the 1 of the largest.
inline constexpr double exp_underflow = -700.0;

// Real is double or TwoDoubles, Bits the integers of its size.
template <class Real, class Bits>
inline Real exp_nonpositive_of(Real x) {
  constexpr double log2_e = 1.4426950408889634;
  constexpr double ln2_high = 6.93147180369123816490e-01;  // 33 bits: n · ln2_high is exact
  constexpr double ln2_low = 1.90821492927058770002e-10;
  constexpr double round_to_integer = 0x1.8p52;  // adding it leaves round(x) in the low bits

  const Real underflow = exp_underflow + Real{};
  const Real bounded = x >= underflow ? x : underflow;
  const Real shifted = bounded * log2_e + round_to_integer;
  const Real n = shifted - round_to_integer;
  const Real r = (bounded - n * ln2_high) - n * ln2_low;  // |r| <= ln 2 / 2

  // Taylor to r^13 by Horner: the next term is below 5e-18.
  Real p = 1.0 / 6227020800.0 + Real{};
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;

  const Bits exponent = (std::bit_cast<Bits>(shifted) + 1023) << 52;
  const Real value = p * std::bit_cast<Real>(exponent);
  return x >= underflow ? value : Real{};
}

// NaN gives 0, as does anything below exp_underflow.
inline double exp_nonpositive(double x) { return exp_nonpositive_of<double, std::uint64_t>(x); }
inline TwoDoubles exp_nonpositive(TwoDoubles x) {
  return exp_nonpositive_of<TwoDoubles, TwoWords>(x);
}

}  // namespace aorta::engine
