#include "base/philox.hpp"

#include <gtest/gtest.h>

#include <set>

namespace aorta {
namespace {

// The known-answer vectors published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32_10({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformIsTheTopFiftyThreeBits) {
  EXPECT_EQ(philox_uniform(0, 0, 0),
            static_cast<double>(0x6627e8d5e169c58dull >> 11) / 9007199254740992.0);
}

TEST(Philox, UniformDependsOnEveryArgumentAndStaysBelowOne) {
  std::set<double> seen;
  double sum = 0;
  for (std::uint64_t seed : {0ull, 1ull, 1ull << 32}) {
    for (std::uint32_t choice = 0; choice < 4; ++choice) {
      for (std::uint32_t index = 0; index < 256; ++index) {
        const double u = philox_uniform(seed, choice, index);
        ASSERT_GE(u, 0.0);
        ASSERT_LT(u, 1.0);
        seen.insert(u);
        sum += u;
      }
    }
  }
  EXPECT_EQ(seen.size(), 3u * 4 * 256);
  EXPECT_NEAR(sum / (3.0 * 4 * 256), 0.5, 0.02);
}

}  // namespace
}  // namespace aorta
