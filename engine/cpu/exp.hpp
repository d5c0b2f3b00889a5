#pragma once
// e^x over lanes: additions, fused multiplications and integer shifts only. Within 2 ulp; 0 below
// -87, e^88 above 88. Argument reduction after Cody and Waite, polynomial from Cephes' expf.

namespace aorta::engine::cpu {

template <class Lanes>
inline Lanes exp(Lanes x) {
  const Lanes round_to_integer = Lanes::set(0x1.8p23f);  // leaves round(x) in the low bits
  const Lanes bounded = min(max(x, Lanes::set(-87.0f)), Lanes::set(88.0f));
  const Lanes shifted = fma(bounded, Lanes::set(0x1.715476p0f), round_to_integer);
  const Lanes n = shifted - round_to_integer;
  Lanes r =
      fma(n, Lanes::set(-0x1.63p-1f), bounded);  // ln 2 in two parts: n · 0.693359375 is exact
  r = fma(n, Lanes::set(2.12194440e-4f), r);

  Lanes p = Lanes::set(1.9875691500e-4f);
  p = fma(p, r, Lanes::set(1.3981999507e-3f));
  p = fma(p, r, Lanes::set(8.3334519073e-3f));
  p = fma(p, r, Lanes::set(4.1665795894e-2f));
  p = fma(p, r, Lanes::set(1.6666665459e-1f));
  p = fma(p, r, Lanes::set(5.0000001201e-1f));
  p = fma(p * r, r, r) + Lanes::set(1.0f);
  return zero_below(x, -87.0f, scale_by_power(p, shifted));
}

}  // namespace aorta::engine::cpu
