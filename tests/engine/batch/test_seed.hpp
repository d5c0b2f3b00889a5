#pragma once
// Seed of a randomised test: the same in every run, or AORTA_TEST_SEED to look further. A failure
// prints it.
#include <cstdint>
#include <cstdlib>
#include <string>

namespace aorta::engine {

inline std::uint64_t test_seed() {
  const char* text = std::getenv("AORTA_TEST_SEED");
  return text != nullptr ? std::stoull(text) : 20250101;
}

}  // namespace aorta::engine
