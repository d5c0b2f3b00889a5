#include "base/cores.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace aorta {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "200000 100000": so many of these microseconds. "max", -1 and nothing at all mean no limit.
std::uint32_t whole_cores(const std::string& quota_and_period) {
  std::istringstream text(quota_and_period);
  std::int64_t quota = 0, period = 0;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<std::uint32_t>(std::max<std::int64_t>(1, quota / period));
}

std::uint32_t smaller(std::uint32_t a, std::uint32_t b) {
  return a == 0 || b == 0 ? a + b : std::min(a, b);
}

// Of a cgroup and of those that it is in. Within a container its own is the mounted root, whatever
// path /proc names: what is not there is passed over.
std::uint32_t least_quota(const fs::path& mount, const fs::path& group, bool version_2) {
  std::uint32_t least = 0;
  for (fs::path path = group.relative_path();; path = path.parent_path()) {
    const fs::path folder = mount / path;
    least = smaller(least, whole_cores(version_2 ? read(folder / "cpu.max")
                                                 : read(folder / "cpu.cfs_quota_us") + " " +
                                                       read(folder / "cpu.cfs_period_us")));
    if (path.empty()) return least;
  }
}

}  // namespace

std::uint32_t quota_cores(std::string_view proc_cgroup, const std::string& mounts) {
  std::istringstream lines{std::string(proc_cgroup)};
  std::uint32_t least = 0;
  for (std::string number, controllers, group; std::getline(lines, number, ':') &&
                                               std::getline(lines, controllers, ':') &&
                                               std::getline(lines, group);) {
    const bool version_2 = number == "0" && controllers.empty();
    const bool has_cpu = ("," + controllers + ",").find(",cpu,") != std::string::npos;
    if (!version_2 && !has_cpu) continue;
    least =
        smaller(least, least_quota(fs::path(mounts) / (version_2 ? "" : "cpu"), group, version_2));
  }
  return least;
}

std::uint32_t usable_cores() {
  const std::uint32_t allowed = std::max(1u, std::thread::hardware_concurrency());
  const std::uint32_t quota = quota_cores(read("/proc/self/cgroup"), "/sys/fs/cgroup");
  return quota == 0 ? allowed : std::min(allowed, quota);
}

}  // namespace aorta
