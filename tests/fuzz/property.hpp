#pragma once
// What a fuzzer states beyond "it does not crash". A property that does not hold ends the process,
// so libFuzzer keeps the input as it keeps one that crashes.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/result.hpp"

namespace aorta::fuzz {

inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n", property);
  std::abort();
}

// A refusal is a sentence that a terminal can show, whatever names a file has.
template <class T>
bool says_why(const Result<T>& result) {
  if (result.ok()) return true;
  const std::string& message = result.error().message;
  return !message.empty() && std::all_of(message.begin(), message.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
  });
}

}  // namespace aorta::fuzz
