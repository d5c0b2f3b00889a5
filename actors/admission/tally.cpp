#include "actors/admission/tally.hpp"

#include "actors/lost_reasons.hpp"

namespace aorta::admission {
namespace {

using actors::counter;
using actors::label;
using mesh::Figure;

const std::vector<double> bounds_s{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                   1,     2.5,  5,     10,   30,  60,   300};

const std::vector<double> write_bounds_s{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                         0.005,   0.01,   0.025,   0.05,   0.1,   1};

// Also those that have not occurred: a series that is there from the beginning shows its first
// increase.
constexpr std::array<const char*, 6> outcomes{"stop",    "length", "cancelled",
                                              "timeout", "failed", "moved"};

}  // namespace

Tally::Tally()
    : first_token{actors::Histogram(bounds_s), actors::Histogram(bounds_s),
                  actors::Histogram(bounds_s)},
      between_tokens(bounds_s),
      journal_write(write_bounds_s) {}

std::uint64_t Tally::ended_in_all() const {
  std::uint64_t sum = 0;
  for (const auto& [outcome, count] : ended) sum += count;
  return sum;
}

std::vector<Figure> Tally::figures() const {
  std::vector<Figure> figures;
  figures.push_back(counter("aorta_requests_accepted_total", "", double(accepted)));
  figures.push_back(counter("aorta_requests_recovered_total", "", double(recovered)));
  for (const auto& [code, count] : rejected) {
    figures.push_back(
        counter("aorta_requests_rejected_total", label("reason", code), double(count)));
  }
  for (const char* outcome : outcomes) {
    const auto count = ended.find(outcome);
    figures.push_back(counter("aorta_requests_ended_total", label("outcome", outcome),
                              count == ended.end() ? 0 : double(count->second)));
  }
  figures.push_back(counter("aorta_tokens_generated_total", "", double(tokens)));
  figures.push_back(counter("aorta_epochs_total", "", double(epochs)));
  actors::append_by_reason(figures, "aorta_epochs_lost_total", lost);
  figures.push_back(counter("aorta_token_gaps_total", "", double(gaps)));
  figures.push_back(counter("aorta_token_runs_stale_total", "", double(stale_runs)));
  for (std::size_t tier = 0; tier < mesh::tier_count; ++tier) {
    const auto name = name_of(static_cast<mesh::Tier>(tier));
    first_token[tier].append_to(figures, "aorta_time_to_first_token_seconds", label("tier", name));
  }
  between_tokens.append_to(figures, "aorta_inter_token_seconds", "");
  figures.push_back(counter("aorta_journal_writes_total", "", double(journal_writes)));
  figures.push_back(counter("aorta_journal_failures_total", "", double(journal_failures)));
  journal_write.append_to(figures, "aorta_journal_write_seconds", "");
  return figures;
}

}  // namespace aorta::admission
