#pragma once
// Figures in Prometheus' text exposition format, version 0.0.4. (prometheus-cpp's serializer wants
// labels as pairs; ours arrive from other processes already written.)
#include <span>
#include <string>

#include "mesh/messages.hpp"

namespace aorta::fronts {

inline constexpr const char* prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

// One family per metric of the table (actors/metrics.hpp), in the order in which they first appear;
// the format wants a family's samples together, after its HELP and TYPE.
std::string prometheus_text(std::span<const mesh::Figure> figures);

}  // namespace aorta::fronts
