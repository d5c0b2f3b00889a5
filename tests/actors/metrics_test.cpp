#include "actors/metrics.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace aorta::actors {
namespace {

// A row of docs/operations.md.
std::string row_of(const Metric& metric) {
  return fmt::format("| `{}` | {} | {} | {} | {} | {} |", metric.name, metric.by,
                     name_of(metric.kind), metric.unit, metric.labels, metric.help);
}

TEST(Metrics, TheManualListsThemAsTheyAre) {
  std::vector<std::string> documented;
  std::ifstream manual(std::string(AORTA_SOURCE_DIR) + "/docs/operations.md");
  for (std::string line; std::getline(manual, line);) {
    const bool is_row = line.starts_with("| `aorta_") || line.starts_with("| `vllm:");
    if (is_row) documented.push_back(line);
  }
  std::vector<std::string> expected;
  for (const Metric& metric : metrics()) expected.push_back(row_of(metric));
  EXPECT_EQ(documented, expected);
}

TEST(Metrics, NamesAreUniqueAndTellTheirKind) {
  std::set<std::string_view> names;
  for (const Metric& metric : metrics()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_FALSE(metric.help.empty()) << metric.name;
    if (metric.kind == MetricKind::histogram) continue;
    const bool counts = metric.kind == MetricKind::counter;
    EXPECT_EQ(metric.name.ends_with("_total"), counts) << metric.name;
  }
}

TEST(Metrics, SamplesBelongToTheirMetric) {
  ASSERT_NE(metric_of("aorta_requests_open"), nullptr);
  EXPECT_EQ(metric_of("aorta_requests_open")->kind, MetricKind::gauge);
  for (const char* part : {"_bucket", "_sum", "_count"}) {
    const Metric* metric = metric_of(std::string("vllm:iteration_tokens_total") + part);
    ASSERT_NE(metric, nullptr);
    EXPECT_EQ(metric->kind, MetricKind::histogram);
  }
  EXPECT_EQ(metric_of("vllm:iteration_tokens_total"), nullptr) << "a histogram has no such sample";
  EXPECT_EQ(metric_of("aorta_requests_open_count"), nullptr);
}

}  // namespace
}  // namespace aorta::actors
