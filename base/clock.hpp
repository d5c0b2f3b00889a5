#pragma once
// Time as cores see it: they are told `now` and never read a clock. Only shells call now().
#include <chrono>
#include <cstdint>

namespace aorta {

using Duration = std::chrono::microseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
inline constexpr TimePoint never = TimePoint::max();

inline TimePoint now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}
inline std::int64_t to_ms(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace aorta
