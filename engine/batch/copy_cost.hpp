#pragma once
// What a copy of a KV block out of the store or into it takes, learned as StepCosts learns. Has no
// clock.
#include <algorithm>

namespace aorta::engine {

class CopyCost {
 public:
  // What lasted far longer than known counts as less; 0: it was not measured.
  void measured(double us) {
    if (us <= 0) return;
    us_ = known() ? us_ + (std::min(us, outlier * us_) - us_) * running : us;
  }
  // A step went by in which copies were not worth it: what was measured long ago is doubted, so
  // one is tried again some time.
  void fade() { us_ *= 1 - fading; }

  bool known() const { return us_ > 0; }
  double us() const { return us_; }

 private:
  static constexpr double running = 1.0 / 4, outlier = 4, fading = 0.002;
  double us_ = 0;
};

}  // namespace aorta::engine
