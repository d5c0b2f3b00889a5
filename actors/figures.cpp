#include "actors/figures.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::actors {

using mesh::Figure;
using mesh::FigureKind;

Figure counter(std::string name, std::string labels, double value) {
  return {std::move(name), std::move(labels), value, FigureKind::counter};
}

Figure gauge(std::string name, std::string labels, double value) {
  return {std::move(name), std::move(labels), value, FigureKind::gauge};
}

std::string label(std::string_view name, std::string_view value) {
  std::string text = fmt::format("{}=\"", name);
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text += '"';
}

std::string labels_of(std::string_view first, std::string_view second) {
  const std::string_view between = first.empty() || second.empty() ? "" : ",";
  return fmt::format("{}{}{}", first, between, second);
}

namespace {

// As Prometheus' client libraries write a bucket's edge: 1.0, not 1, which is another label.
std::string edge(double bound) {
  std::string text = fmt::format("{}", bound);
  const bool whole = text.find_first_of(".e") == std::string::npos;
  return label("le", whole ? text + ".0" : text);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size()) {}

void Histogram::observe(double value, std::uint64_t times) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  if (bound != bounds_.end()) counts_[static_cast<std::size_t>(bound - bounds_.begin())] += times;
  count_ += times;
  sum_ += value * static_cast<double>(times);
}

void Histogram::append_to(std::vector<Figure>& figures, const std::string& name,
                          const std::string& labels) const {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    below += counts_[i];
    figures.push_back(
        counter(name + "_bucket", labels_of(labels, edge(bounds_[i])), double(below)));
  }
  figures.push_back(counter(name + "_bucket", labels_of(labels, "le=\"+Inf\""), double(count_)));
  figures.push_back(counter(name + "_sum", labels, sum_));
  figures.push_back(counter(name + "_count", labels, double(count_)));
}

}  // namespace aorta::actors
