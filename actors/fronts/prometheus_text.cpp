#include "actors/fronts/prometheus_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <vector>

namespace aorta::fronts {
namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

std::string prometheus_text(std::span<const mesh::Figure> figures) {
  std::map<std::string_view, std::size_t> places;
  std::vector<std::string> families;
  for (const mesh::Figure& figure : figures) {
    const auto [place, added] = places.emplace(figure.name, families.size());
    if (added) {
      families.push_back(
          fmt::format("# TYPE {} {}\n", figure.name,
                      figure.kind == mesh::FigureKind::counter ? "counter" : "gauge"));
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
