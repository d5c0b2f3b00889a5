#pragma once
// Every figure that a service reports, in one table. /metrics takes its HELP and TYPE lines from
// it; docs/operations.md lists it.
#include <cstdint>
#include <span>
#include <string_view>

namespace aorta::actors {

enum class MetricKind : std::uint8_t { counter, gauge, histogram };
std::string_view name_of(MetricKind kind);

struct Metric {
  std::string_view by;    // the kind of service that reports it, or "all"
  std::string_view name;  // as Prometheus has it: a counter's ends in _total
  MetricKind kind;
  std::string_view unit;
  std::string_view labels;  // separated by spaces; the monitor adds the reporter's name: `service`
  std::string_view help;    // a sentence
};
std::span<const Metric> metrics();

// The metric that a sample is of: by its name, or a histogram's by NAME_bucket, NAME_sum and
// NAME_count. Null for what a service of a newer build reports.
const Metric* metric_of(std::string_view sample);

}  // namespace aorta::actors
