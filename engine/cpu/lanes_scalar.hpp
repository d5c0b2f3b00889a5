#pragma once
// 16 floats without vector instructions: the definition of what the other two must compute.
#include <bit>
#include <cstdint>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::scalar {

struct Lanes {
  // Whether sums of several queries or rows fit registers: else nothing is gained by sharing loads.
  static constexpr bool in_registers = false;
  float v[16];

  template <class F>
  static Lanes each(F f) {
    Lanes r;
    for (int i = 0; i < 16; ++i) r.v[i] = f(i);
    return r;
  }
  static Lanes zero() { return set(0.0f); }
  static Lanes set(float x) {
    return each([&](int) { return x; });
  }
  static Lanes load(const float* p) {
    return each([&](int i) { return p[i]; });
  }
  static Lanes load_first(const float* p, unsigned n) {  // the rest is 0
    return each([&](int i) { return static_cast<unsigned>(i) < n ? p[i] : 0.0f; });
  }
  static Lanes load_half(const std::uint16_t* p) {
    return each([&](int i) { return half_to_float(p[i]); });
  }
  static Lanes load_bfloat(const std::uint16_t* p) {
    return each([&](int i) { return bfloat_to_float({p[i]}); });
  }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
  void store_first(float* p, unsigned n) const {
    for (unsigned i = 0; i < n; ++i) p[i] = v[i];
  }
  void store_half(std::uint16_t* p) const {
    for (int i = 0; i < 16; ++i) p[i] = float_to_half(v[i]);
  }
  float first() const { return v[0]; }

  friend Lanes operator+(const Lanes& a, const Lanes& b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
  }
  friend Lanes operator-(const Lanes& a, const Lanes& b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
  }
  friend Lanes operator*(const Lanes& a, const Lanes& b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
  }
  friend Lanes operator/(const Lanes& a, const Lanes& b) {
    return each([&](int i) { return a.v[i] / b.v[i]; });
  }
};

// a·b + c, rounded once.
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return Lanes::each([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline Lanes max(const Lanes& a, const Lanes& b) {
  return Lanes::each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes min(const Lanes& a, const Lanes& b) {
  return Lanes::each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes abs(const Lanes& a) {
  return Lanes::each([&](int i) { return __builtin_fabsf(a.v[i]); });
}
// Lanes n..15 become `fill`.
inline Lanes keep_first(const Lanes& a, unsigned n, float fill) {
  return Lanes::each([&](int i) { return static_cast<unsigned>(i) < n ? a.v[i] : fill; });
}
// x >= limit ? value : 0
inline Lanes zero_below(const Lanes& x, float limit, const Lanes& value) {
  return Lanes::each([&](int i) { return x.v[i] >= limit ? value.v[i] : 0.0f; });
}
// value · 2^n, where `shifted` is n + 1.5 · 2^23 (n is then in its low bits).
inline Lanes scale_by_power(const Lanes& value, const Lanes& shifted) {
  return Lanes::each([&](int i) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value.v[i]) +
                                (std::bit_cast<std::uint32_t>(shifted.v[i]) << 23));
  });
}
// The fixed tree: lane i with i + 8, then i + 4, i + 2, i + 1.
inline float sum(const Lanes& a) {
  Lanes t = a;
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) t.v[i] = t.v[i] + t.v[i + half];
  }
  return t.v[0];
}
inline float maximum(const Lanes& a) {
  Lanes t = a;
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) t.v[i] = t.v[i] > t.v[i + half] ? t.v[i] : t.v[i + half];
  }
  return t.v[0];
}
// Pairs (x0, x1) turned by (c, s): fma(x0, c, -(x1·s)), fma(x1, c, x0·s).
inline Lanes rotate_pairs(const Lanes& x, const Lanes& cos_sin) {
  Lanes r;
  for (int i = 0; i < 16; i += 2) {
    const float c = cos_sin.v[i], s = cos_sin.v[i + 1];
    r.v[i] = __builtin_fmaf(x.v[i], c, -(x.v[i + 1] * s));
    r.v[i + 1] = __builtin_fmaf(x.v[i + 1], c, x.v[i] * s);
  }
  return r;
}
// Stores the integers n of lanes that hold n + 1.5 · 2^23 as int8: 32 codes of a block.
inline CodeSums store_codes(const Lanes& first, const Lanes& other, std::int8_t* p) {
  CodeSums sums = {};
  for (int i = 0; i < 16; ++i) {
    p[i] = static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(first.v[i]) & 0xffu);
    p[16 + i] = static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(other.v[i]) & 0xffu);
    sums.low += p[i];
    sums.high += p[16 + i];
  }
  return sums;
}

}  // namespace aorta::engine::cpu::scalar
