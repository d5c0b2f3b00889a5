#pragma once
// What an admission has done since its start, as counters: for the monitor, /metrics and the audit.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/admission/request.hpp"
#include "actors/figures.hpp"

namespace aorta::admission {

struct Tally {
  Tally();

  std::uint64_t accepted = 0;
  std::map<std::string, std::uint64_t> rejected;   // by code
  std::map<std::string, std::uint64_t> ended;      // stop, length, cancelled, timeout, failed, moved
  std::uint64_t recovered = 0;                     // open at an earlier life's end
  std::uint64_t tokens = 0;                        // appended to ledgers
  std::uint64_t epochs = 0;                        // begun
  std::map<mesh::LostReason, std::uint64_t> lost;  // epochs
  std::uint64_t gaps = 0;                          // in token streams, asked for again
  std::uint64_t stale_runs = 0;                    // tokens of a past epoch or an unknown request
  std::array<actors::Histogram, mesh::tier_count> first_token;  // from arrival, in seconds
  actors::Histogram between_tokens;                             // in seconds
  std::uint64_t journal_writes = 0, journal_failures = 0;       // of records
  actors::Histogram journal_write;  // from asked to written or failed, in seconds

  std::uint64_t ended_in_all() const;
  std::vector<mesh::Figure> figures() const;
};

}  // namespace aorta::admission
