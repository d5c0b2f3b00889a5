#pragma once
// Root mean square normalisation of one row (Zhang and Sennrich 2019).
#include <cstdint>

namespace aorta::engine::cpu {

template <class Lanes>
void rms_norm(const float* x, const float* weight, std::uint32_t width, float epsilon, float* out) {
  const std::uint32_t whole = width / 16 * 16, rest = width - whole;
  Lanes squares = Lanes::zero();
  for (std::uint32_t i = 0; i < whole; i += 16) {
    const Lanes v = Lanes::load(x + i);
    squares = fma(v, v, squares);
  }
  if (rest != 0) {
    const Lanes v = Lanes::load_first(x + whole, rest);
    squares = fma(v, v, squares);
  }
  const float mean = sum(squares) / static_cast<float>(width);
  const Lanes inverse = Lanes::set(1.0f / __builtin_sqrtf(mean + epsilon));
  for (std::uint32_t i = 0; i < whole; i += 16) {
    (Lanes::load(x + i) * inverse * Lanes::load(weight + i)).store(out + i);
  }
  if (rest != 0) {
    (Lanes::load_first(x + whole, rest) * inverse * Lanes::load_first(weight + whole, rest))
        .store_first(out + whole, rest);
  }
}

}  // namespace aorta::engine::cpu
