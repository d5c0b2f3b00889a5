#include "actors/admission/tally.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::admission {
namespace {

using mesh::Figure;
using mesh::FigureKind;

Figure counter(std::string name, std::string labels, double value) {
  return {std::move(name), std::move(labels), value, FigureKind::counter};
}

void append_by(std::vector<Figure>& figures, const std::string& name, std::string_view label,
               const std::map<std::string, std::uint64_t>& counts) {
  for (const auto& [key, count] : counts) {
    figures.push_back(counter(name, fmt::format("{}=\"{}\"", label, key), double(count)));
  }
}

}  // namespace

void Histogram::observe(Duration value, std::uint64_t times) {
  const double seconds = static_cast<double>(value.count()) / 1e6;
  const auto bound = std::lower_bound(bounds_s.begin(), bounds_s.end(), seconds);
  if (bound != bounds_s.end()) counts_[static_cast<std::size_t>(bound - bounds_s.begin())] += times;
  count_ += times;
  sum_s_ += seconds * static_cast<double>(times);
}

void Histogram::append_to(std::vector<Figure>& figures, const std::string& name,
                          const std::string& labels) const {
  const std::string comma = labels.empty() ? "" : ",";
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds_s.size(); ++i) {
    below += counts_[i];
    figures.push_back(counter(
        name + "_bucket", fmt::format("{}{}le=\"{}\"", labels, comma, bounds_s[i]), double(below)));
  }
  figures.push_back(counter(name + "_bucket", labels + comma + "le=\"+Inf\"", double(count_)));
  figures.push_back(counter(name + "_sum", labels, sum_s_));
  figures.push_back(counter(name + "_count", labels, double(count_)));
}

std::uint64_t Tally::ended_in_all() const {
  std::uint64_t sum = 0;
  for (const auto& [outcome, count] : ended) sum += count;
  return sum;
}

std::vector<Figure> Tally::figures() const {
  std::vector<Figure> figures;
  figures.push_back(counter("aorta_requests_accepted_total", "", double(accepted)));
  append_by(figures, "aorta_requests_rejected_total", "reason", rejected);
  append_by(figures, "aorta_requests_ended_total", "outcome", ended);
  figures.push_back(counter("aorta_tokens_generated_total", "", double(tokens)));
  figures.push_back(counter("aorta_epochs_total", "", double(epochs)));
  append_by(figures, "aorta_epochs_lost_total", "reason", lost);
  figures.push_back(counter("aorta_token_gaps_total", "", double(gaps)));
  figures.push_back(counter("aorta_token_runs_stale_total", "", double(stale_runs)));
  for (std::size_t tier = 0; tier < mesh::tier_count; ++tier) {
    const auto name = name_of(static_cast<mesh::Tier>(tier));
    first_token[tier].append_to(figures, "aorta_time_to_first_token_seconds",
                                fmt::format("tier=\"{}\"", name));
  }
  between_tokens.append_to(figures, "aorta_inter_token_seconds", "");
  return figures;
}

}  // namespace aorta::admission
