// The software conversions: every half, known values, and the nearest half of many floats.
#include "engine/cpu/float16.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace aorta::engine {
namespace {

TEST(Float16, EveryHalfComesBack) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto half = static_cast<std::uint16_t>(i);
    const float value = half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_EQ(float_to_half(value), half | 0x200) << i;
    } else {
      EXPECT_EQ(float_to_half(value), half) << i;
    }
  }
}

TEST(Float16, KnownValues) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc000), -2.0f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(float_to_half(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);         // a tie goes to even
  EXPECT_EQ(float_to_half(0x1.000002p-25f), 0x0001);  // just above it does not
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(float_to_half(1.0f + 0x3p-11f), 0x3c02);
}

// The nearest half, found by comparing with both neighbours in double.
TEST(Float16, RoundsToTheNearest) {
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    const float value = std::ldexp(static_cast<float>(random()) / 4294967296.0f,
                                   static_cast<int>(random() % 40) - 26);
    const std::uint16_t half = float_to_half(value);
    const double error = std::abs(half_to_float(half) - double{value});
    EXPECT_LE(error, std::abs(half_to_float(half + 1) - double{value})) << value;
    const std::uint16_t below = half > 0 ? half - 1 : 0x8001;
    EXPECT_LE(error, std::abs(half_to_float(below) - double{value})) << value;
  }
}

}  // namespace
}  // namespace aorta::engine
