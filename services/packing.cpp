#include "services/packing.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "engine/model/pack.hpp"

namespace aorta::services {
namespace {

// On the terminal's own line, redrawn as it grows by a percent.
class ProgressBar {
 public:
  ProgressBar() = default;
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() {
    if (percent_ <= 100) fmt::print(stderr, "\n");
  }

  void show(std::uint64_t done, std::uint64_t total) {
    const std::uint64_t percent = total == 0 ? 100 : done * 100 / total;
    if (percent == percent_) return;
    percent_ = percent;
    const std::string filled(percent / 4, '#');
    fmt::print(stderr, "\rpacking [{:<25}] {:>3} % of {} MiB", filled, percent, total >> 20);
    std::fflush(stderr);
  }

 private:
  std::uint64_t percent_ = 101;  // nothing shown
};

}  // namespace

bool is_looked_on() { return ::isatty(STDERR_FILENO) == 1; }

Result<Packed> pack_with_bar(const std::string& model_path, const std::string& folder, bool again) {
  ProgressBar bar;
  Packed packed;
  const auto progress = [&, looked_on = is_looked_on()](std::uint64_t done, std::uint64_t total) {
    packed.made = true;
    if (looked_on) bar.show(done, total);
  };
  auto path = engine::pack_model(model_path, folder, progress, again);
  if (!path) return path.error();
  packed.path = std::move(*path);
  return packed;
}

}  // namespace aorta::services
