#pragma once
// How many cores this process may keep busy. A container that is given two of sixty-four still sees
// sixty-four; threads beyond its share only wait for each other.
#include <cstdint>
#include <string>
#include <string_view>

namespace aorta {

// Those that it may run on, fewer when a cgroup's quota gives less time; at least 1.
std::uint32_t usable_cores();

// The smallest quota on the way from this process's cgroup to the root, in whole cores, at least 1;
// 0: none is set. `proc_cgroup` is what /proc/self/cgroup says, `mounts` where cgroups are mounted.
std::uint32_t quota_cores(std::string_view proc_cgroup, const std::string& mounts);

}  // namespace aorta
