#pragma once
// Which fault met a request in which state, how often: what a batch of seeds has tried.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace aorta::sim {

// Finer than admission's: where on an executor a request is.
enum class Stage : std::uint8_t {
  held,       // not accepted yet, no executor is ready
  queued,     // at the scheduler, or between two executors
  placed,     // on its way to an executor
  prefill,    // there, for the first time
  recompute,  // there again: prompt and answer so far
  decode,
  tail,    // generated to its end, which its admission has not heard
  parked,  // its client is away
  unread,  // ended, and its client has not read all
};
inline constexpr std::size_t stage_count = 9;
std::string_view name_of(Stage stage);

struct Coverage {
  using Row = std::array<std::uint64_t, stage_count>;
  std::map<std::string, Row> hits;            // by fault
  std::map<std::string, std::uint64_t> times;  // how often each fault struck
  void add(const Coverage& other);
  // A line for each fault, the least covered place marked.
  std::string table() const;
};

}  // namespace aorta::sim
