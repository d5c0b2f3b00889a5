#include "base/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace aorta {

void check_failed(const char* condition, const char* file, int line, const char* sentence) {
  std::fprintf(stderr, "aorta: bug at %s:%d: %s (%s)\n", file, line, sentence, condition);
  std::abort();
}

}  // namespace aorta
