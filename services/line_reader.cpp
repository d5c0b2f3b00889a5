#include "services/line_reader.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace aorta::services {

Line LineReader::read(const std::string& prompt) {
  fmt::print(stderr, "{}", prompt);
  for (;;) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) return {Line::Kind::text, take(end)};
    std::array<char, 4096> chunk;
    const ssize_t size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) return {Line::Kind::interrupted, {}};
    if (size > 0) {
      unread_.append(chunk.data(), static_cast<std::size_t>(size));
    } else if (unread_.empty()) {
      return {Line::Kind::end, {}};
    } else {
      return {Line::Kind::text, take(unread_.size())};  // a last line without an end
    }
  }
}

std::string LineReader::take(std::size_t size) {
  std::string line = unread_.substr(0, size);
  unread_.erase(0, size + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

}  // namespace aorta::services
