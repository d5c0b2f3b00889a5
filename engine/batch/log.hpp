#pragma once
// The natural logarithm with the same bits on every machine, as exp.hpp's exponential. Within 1 ulp
// or so of the true value, near 1 in absolute terms.
#include <bit>
#include <cstdint>

namespace aorta::engine {

// x is finite, positive and not denormal.
inline double log_positive(double x) {
  constexpr double ln2_high = 6.93147180369123816490e-01;  // 33 bits: exponent · ln2_high is exact
  constexpr double ln2_low = 1.90821492927058770002e-10;
  // x = m · 2^exponent with m in [sqrt(1/2), sqrt(2))
  constexpr std::uint64_t sqrt_half = 0x3FE6A09E667F3BCD;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const auto exponent = static_cast<std::int64_t>(bits - sqrt_half) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(exponent) << 52));

  // log m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172: the term after s^23 is below 3e-21.
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 1.0 / 23.0;
  p = p * z + 1.0 / 21.0;
  p = p * z + 1.0 / 19.0;
  p = p * z + 1.0 / 17.0;
  p = p * z + 1.0 / 15.0;
  p = p * z + 1.0 / 13.0;
  p = p * z + 1.0 / 11.0;
  p = p * z + 1.0 / 9.0;
  p = p * z + 1.0 / 7.0;
  p = p * z + 1.0 / 5.0;
  p = p * z + 1.0 / 3.0;
  const auto n = static_cast<double>(exponent);
  return n * ln2_high + (2.0 * s + (2.0 * s * (z * p) + n * ln2_low));
}

}  // namespace aorta::engine
