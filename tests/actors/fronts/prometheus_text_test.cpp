// Figures as Prometheus reads them.
#include "actors/fronts/prometheus_text.hpp"

#include <gtest/gtest.h>

#include "actors/figures.hpp"

namespace aorta::fronts {
namespace {

using mesh::Figure;
using mesh::FigureKind;

TEST(PrometheusText, AFamilyIsTogetherWhereverItsSamplesCame) {
  const Figure figures[] = {
      {"aorta_requests_open", "tier=\"high\"", 3},
      {"aorta_epochs_total", "", 1.5, FigureKind::counter},
      {"aorta_requests_open", "tier=\"normal\"", 4},
  };
  EXPECT_EQ(prometheus_text(figures),
            "# HELP aorta_requests_open Requests that have not ended, by where they are.\n"
            "# TYPE aorta_requests_open gauge\n"
            "aorta_requests_open{tier=\"high\"} 3\n"
            "aorta_requests_open{tier=\"normal\"} 4\n"
            "# HELP aorta_epochs_total Lives of requests on executors that were begun.\n"
            "# TYPE aorta_epochs_total counter\n"
            "aorta_epochs_total 1.5\n");
}

TEST(PrometheusText, PartsOfAHistogramAreOneFamily) {
  actors::Histogram histogram({0.5, 1, 2.5});
  histogram.observe(0.5);
  histogram.observe(0.75, 2);
  histogram.observe(3);
  std::vector<Figure> figures;
  histogram.append_to(figures, "aorta_inter_token_seconds", actors::label("a", "\"b\\\n"));
  const std::string labels = "a=\"\\\"b\\\\\\n\"";
  const auto bucket = [&](const std::string& edge, int count) {
    return "aorta_inter_token_seconds_bucket{" + labels + ",le=\"" + edge + "\"} " +
           std::to_string(count) + "\n";
  };
  EXPECT_EQ(prometheus_text(figures),
            "# HELP aorta_inter_token_seconds Between two tokens of an answer.\n"
            "# TYPE aorta_inter_token_seconds histogram\n" +
                bucket("0.5", 1) + bucket("1.0", 3) + bucket("2.5", 3) + bucket("+Inf", 4) +
                "aorta_inter_token_seconds_sum{" + labels + "} 5\n" +
                "aorta_inter_token_seconds_count{" + labels + "} 4\n");
}

TEST(PrometheusText, FiguresOfNewerServicesAreShownAsTheyAre) {
  const Figure figures[] = {{"aorta_novel_total", "", 7, FigureKind::counter},
                            {"aorta_novel", "", 8}};
  EXPECT_EQ(prometheus_text(figures),
            "# TYPE aorta_novel_total counter\naorta_novel_total 7\n"
            "# TYPE aorta_novel gauge\naorta_novel 8\n");
}

}  // namespace
}  // namespace aorta::fronts
