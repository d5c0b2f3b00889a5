#include "actors/fronts/prometheus_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <vector>

namespace aorta::fronts {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// The histogram that a sample belongs to, whose parts are named NAME_bucket, NAME_sum, NAME_count.
std::string_view histogram_of(std::string_view name, const std::set<std::string_view>& histograms) {
  for (const std::string_view part : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(part)) continue;
    const std::string_view base = name.substr(0, name.size() - part.size());
    if (histograms.contains(base)) return base;
  }
  return {};
}

std::set<std::string_view> histograms_in(std::span<const mesh::Figure> figures) {
  constexpr std::string_view part = "_bucket";
  std::set<std::string_view> histograms;
  for (const mesh::Figure& figure : figures) {
    const std::string_view name = figure.name;
    if (name.ends_with(part)) histograms.insert(name.substr(0, name.size() - part.size()));
  }
  return histograms;
}

}  // namespace

std::string prometheus_text(std::span<const mesh::Figure> figures) {
  const std::set<std::string_view> histograms = histograms_in(figures);
  std::map<std::string_view, std::size_t> places;
  std::vector<std::string> families;
  for (const mesh::Figure& figure : figures) {
    const std::string_view histogram = histogram_of(figure.name, histograms);
    const std::string_view name = histogram.empty() ? std::string_view(figure.name) : histogram;
    const auto [place, added] = places.emplace(name, families.size());
    if (added) {
      families.push_back(fmt::format("# TYPE {} {}\n", name,
                                     !histogram.empty()                         ? "histogram"
                                     : figure.kind == mesh::FigureKind::counter ? "counter"
                                                                                : "gauge"));
    }
    std::string& family = families[place->second];
    family += figure.name;
    if (!figure.labels.empty()) family.append("{").append(figure.labels).append("}");
    family.append(" ").append(number(figure.value)).append("\n");
  }
  std::string text;
  for (const std::string& family : families) text += family;
  return text;
}

}  // namespace aorta::fronts
