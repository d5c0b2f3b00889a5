#include "base/ring.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

namespace aorta {
namespace {

TEST(Ring, IsFirstInFirstOutAndBounded) {
  Ring<int> ring(3);
  EXPECT_EQ(ring.capacity(), 3u);
  EXPECT_EQ(ring.pop(), std::nullopt);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(ring.push(round * 10 + i));
    EXPECT_FALSE(ring.push(99));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ring.pop(), round * 10 + i);
    EXPECT_EQ(ring.pop(), std::nullopt);
  }
}

TEST(Ring, ARefusedValueIsUntouched) {
  Ring<std::string> ring(1);
  ASSERT_TRUE(ring.push("first"));
  std::string value = "a value too long for the small string";
  EXPECT_FALSE(ring.push(std::move(value)));
  EXPECT_EQ(value, "a value too long for the small string");
}

TEST(Ring, APoppedCellHoldsNothing) {
  Ring<std::shared_ptr<int>> ring(2);
  auto value = std::make_shared<int>(1);
  ASSERT_TRUE(ring.push(std::shared_ptr<int>(value)));
  EXPECT_EQ(value.use_count(), 2);
  ring.pop();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Ring, ARingOfNoneRefusesAll) {
  Ring<int> ring(0);
  EXPECT_FALSE(ring.push(1));
  EXPECT_EQ(ring.pop(), std::nullopt);
}

TEST(Ring, TwoThreadsLoseAndReorderNothing) {
  constexpr int count = 100000;
  Ring<std::unique_ptr<int>> ring(7);
  std::thread producer([&] {
    for (int i = 0; i < count; ++i) {
      auto value = std::make_unique<int>(i);
      while (!ring.push(std::move(value))) std::this_thread::yield();
    }
  });
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    auto value = ring.pop();
    while (!value) {
      std::this_thread::yield();
      value = ring.pop();
    }
    wrong += **value != i;
  }
  producer.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace aorta
