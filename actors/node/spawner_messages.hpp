#pragma once
// What agent and spawner say over their socket pair: one SEQPACKET datagram each, words that end
// in NUL.
//   agent:   start NAME LOG ARGUMENT… | signal PID NUMBER
//   spawner: started NAME PID | exited NAME PID STATUS OOM
#include <string>
#include <string_view>
#include <vector>

namespace aorta::node {

inline constexpr std::size_t max_spawner_message = 64 * 1024;

inline std::string join_words(const std::vector<std::string>& words) {
  std::string message;
  for (const std::string& word : words) message.append(word.c_str(), word.size() + 1);
  return message;
}

inline std::vector<std::string> split_words(std::string_view message) {
  std::vector<std::string> words;
  while (!message.empty()) {
    const std::size_t end = message.find('\0');
    if (end == std::string_view::npos) break;
    words.emplace_back(message.substr(0, end));
    message.remove_prefix(end + 1);
  }
  return words;
}

}  // namespace aorta::node
