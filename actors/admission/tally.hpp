#pragma once
// What an admission has done since its start, as counters: for the monitor, /metrics and the audit.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/admission/request.hpp"

namespace aorta::admission {

// Prometheus' cumulative histogram of seconds.
class Histogram {
 public:
  void observe(Duration value, std::uint64_t times = 1);
  void append_to(std::vector<mesh::Figure>& figures, const std::string& name,
                 const std::string& labels) const;

 private:
  static constexpr std::array<double, 14> bounds_s{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                   1,     2.5,  5,     10,   30,  60,   300};
  std::array<std::uint64_t, bounds_s.size()> counts_{};  // of each bound, not cumulated
  std::uint64_t count_ = 0;
  double sum_s_ = 0;
};

struct Tally {
  std::uint64_t accepted = 0;
  std::map<std::string, std::uint64_t> rejected;  // by code
  std::map<std::string, std::uint64_t> ended;     // stop, length, cancelled, timeout, failed
  std::uint64_t tokens = 0;                       // appended to ledgers
  std::uint64_t epochs = 0;                       // begun
  std::map<std::string, std::uint64_t> lost;      // epochs, by reason
  std::uint64_t gaps = 0;                         // in token streams, asked for again
  std::uint64_t stale_runs = 0;                   // tokens of a past epoch or an unknown request
  std::array<Histogram, mesh::tier_count> first_token;  // from arrival
  Histogram between_tokens;

  std::uint64_t ended_in_all() const;
  std::vector<mesh::Figure> figures() const;
};

}  // namespace aorta::admission
