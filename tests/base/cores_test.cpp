// Quotas of containers, as the kernel's files give them in both versions of cgroups.
#include "base/cores.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace aorta {
namespace {

class CoresTest : public ::testing::Test {
 protected:
  CoresTest() {
    char name[] = "/tmp/aorta-cores-XXXXXX";
    mounts = mkdtemp(name);
  }
  ~CoresTest() override { std::filesystem::remove_all(mounts); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(mounts + "/" + path).parent_path());
    std::ofstream(mounts + "/" + path) << text;
  }
  std::string mounts;
};

TEST_F(CoresTest, NoQuotaIsNone) {
  EXPECT_EQ(quota_cores("0::/\n", mounts), 0u);
  write("cpu.max", "max 100000\n");
  EXPECT_EQ(quota_cores("0::/\n", mounts), 0u);
  write("cpu/cpu.cfs_quota_us", "-1\n");
  write("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota_cores("4:cpu,cpuacct:/\n0::/\n", mounts), 0u);
}

TEST_F(CoresTest, AContainersOwnGroupIsTheMountedRoot) {
  write("cpu.max", "250000 100000\n");
  EXPECT_EQ(quota_cores("0::/\n", mounts), 2u);
  EXPECT_EQ(quota_cores("0::/system.slice/of-the-host\n", mounts), 2u);
}

TEST_F(CoresTest, TheSmallestOnTheWayUpCounts) {
  write("a/b/cpu.max", "800000 100000\n");
  write("a/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota_cores("0::/a/b\n", mounts), 3u);
  write("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota_cores("0::/a/b\n", mounts), 1u) << "half a core still runs one thread";
}

TEST_F(CoresTest, VersionOneHasTwoFiles) {
  write("cpu/pod/cpu.cfs_quota_us", "400000\n");
  write("cpu/pod/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota_cores("5:cpuset:/pod\n4:cpu,cpuacct:/pod\n0::/\n", mounts), 4u);
}

TEST_F(CoresTest, GarbageIsNoQuota) {
  write("cpu.max", "lots\n");
  EXPECT_EQ(quota_cores("0::/\n", mounts), 0u);
  EXPECT_EQ(quota_cores("nonsense", mounts), 0u);
}

TEST_F(CoresTest, UsableAreSomeButNoMoreThanThereAre) {
  EXPECT_GE(usable_cores(), 1u);
  EXPECT_LE(usable_cores(), std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace aorta
