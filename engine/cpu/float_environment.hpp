#pragma once
// Rounds to nearest, keeps subnormals, traps nothing, for as long as it lives: a host program's or
// a library's idea of MXCSR must not change the answers.
#include <xmmintrin.h>

namespace aorta::engine::cpu {

class FloatEnvironment {
 public:
  FloatEnvironment() : before_(_mm_getcsr()) {
    if ((before_ & control_bits) != defaults) _mm_setcsr(defaults);
  }
  ~FloatEnvironment() {
    if ((before_ & control_bits) != defaults) _mm_setcsr(before_);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  static constexpr unsigned defaults = 0x1f80;      // all exceptions masked, round to nearest
  static constexpr unsigned control_bits = 0xffc0;  // all but the sticky exception flags
  unsigned before_;
};

}  // namespace aorta::engine::cpu
