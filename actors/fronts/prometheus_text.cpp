#include "actors/fronts/prometheus_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string_view>
#include <vector>

#include "actors/metrics.hpp"

namespace aorta::fronts {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// What stands before a family's samples. A figure that this build does not know, of a newer
// service, has no sentence.
std::string heading(const mesh::Figure& figure, const actors::Metric* metric) {
  if (metric == nullptr) {
    const bool counts = figure.kind == mesh::FigureKind::counter;
    return fmt::format("# TYPE {} {}\n", figure.name, counts ? "counter" : "gauge");
  }
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", metric->name, metric->help,
                     name_of(metric->kind));
}

}  // namespace

std::string prometheus_text(std::span<const mesh::Figure> figures) {
  std::map<std::string_view, std::size_t> places;
  std::vector<std::string> families;
  for (const mesh::Figure& figure : figures) {
    const actors::Metric* metric = actors::metric_of(figure.name);
    const std::string_view name = metric ? metric->name : std::string_view(figure.name);
    const auto [place, added] = places.emplace(name, families.size());
    if (added) families.push_back(heading(figure, metric));
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
