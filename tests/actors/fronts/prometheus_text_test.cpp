// Figures as Prometheus reads them.
#include "actors/fronts/prometheus_text.hpp"

#include <gtest/gtest.h>

namespace aorta::fronts {
namespace {

using mesh::Figure;
using mesh::FigureKind;

TEST(PrometheusText, AFamilyIsTogetherWhereverItsSamplesCame) {
  const Figure figures[] = {{"requests_total", "tier=\"high\"", 3, FigureKind::counter},
                            {"open", "", 1.5},
                            {"requests_total", "tier=\"normal\"", 4, FigureKind::counter}};
  EXPECT_EQ(prometheus_text(figures),
            "# TYPE requests_total counter\n"
            "requests_total{tier=\"high\"} 3\n"
            "requests_total{tier=\"normal\"} 4\n"
            "# TYPE open gauge\n"
            "open 1.5\n");
}

TEST(PrometheusText, PartsOfAHistogramAreOneFamily) {
  const Figure figures[] = {{"wait_seconds_bucket", "le=\"0.1\"", 2, FigureKind::counter},
                            {"wait_seconds_bucket", "le=\"+Inf\"", 5, FigureKind::counter},
                            {"wait_seconds_sum", "", 1.25, FigureKind::counter},
                            {"wait_seconds_count", "", 5, FigureKind::counter},
                            {"other_count", "", 7, FigureKind::counter}};
  EXPECT_EQ(prometheus_text(figures),
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{le=\"0.1\"} 2\n"
            "wait_seconds_bucket{le=\"+Inf\"} 5\n"
            "wait_seconds_sum 1.25\n"
            "wait_seconds_count 5\n"
            "# TYPE other_count counter\n"
            "other_count 7\n");
}

}  // namespace
}  // namespace aorta::fronts
