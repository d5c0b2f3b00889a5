#pragma once
// What a fuzzer states beyond "it does not crash". A property that does not hold ends the process,
// so libFuzzer keeps the input as it keeps one that crashes.
#include <cstdio>
#include <cstdlib>

namespace aorta::fuzz {

inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n", property);
  std::abort();
}

}  // namespace aorta::fuzz
