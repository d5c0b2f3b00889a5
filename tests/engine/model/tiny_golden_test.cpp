// The tiny models against an independent float32 implementation (tests/golden/README.md): quantised
// weights meet int8 activations here, so their gates are its rows "int8 act per 32".
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/batch/logprobs.hpp"
#include "engine/model/model_session.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

struct Gate {
  const char* model;
  double max_logit_error;  // at any of the last positions
  double mean_kl;
  double flip_margin;  // a greedy choice may differ only below this margin
  double least_greedy_agreement;
};
std::ostream& operator<<(std::ostream& out, const Gate& gate) { return out << gate.model; }
// Measured there: "Q8_0 weights + int8 act per 32" max 1.056, mean KL 1.1e-2, top-1 91.5 %; float32
// with f16 KV differs by 0.052 at most and flips below a margin of 0.05.
constexpr Gate gates[] = {
    {"tiny-llama-gqa.Q8_0", 1.2, 0.015, 1.0, 0.90},
    {"tiny-llama-gqa.Q4_0", 1.2, 0.015, 1.0, 0.90},
    {"tiny-llama3-rope.F16", 0.05, 5e-5, 0.05, 0.99},
    {"tiny-qwen2.F16", 0.05, 5e-5, 0.05, 0.99},
    {"tiny-qwen2.Q8_0", 1.0, 0.006, 1.0, 0.90},
};

double log_mass(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double mass = 0.0;
  for (const float logit : logits) mass += std::exp(logit - largest);
  return largest + std::log(mass);
}

class TinyGolden : public testing::TestWithParam<Gate> {};

TEST_P(TinyGolden, LogitsAndGreedyChoices) {
  const Gate& gate = GetParam();
  const TemporaryDirectory directory;
  const std::string name = gate.model;
  auto session = ModelSession::open({.gguf_path = golden_path("models/gguf/" + name + ".gguf"),
                                     .pack_directory = directory.path()});
  ASSERT_TRUE(session.ok()) << session.error().message;
  std::ifstream stream(golden_path("tiny/" + name + ".gguf.json"));
  const auto golden = nlohmann::json::parse(stream);

  double worst = 0.0, worst_logprob = 0.0, total_kl = 0.0;
  std::size_t steps = 0, same = 0;
  for (const auto& golden_case : golden["cases"]) {
    auto ids = golden_case["ids"].get<std::vector<TokenId>>();
    const auto prompt = static_cast<std::uint32_t>(ids.size());
    const auto reference = golden_case["last_logits"].get<std::vector<float>>();
    const auto greedy = golden_case["greedy_ids"].get<std::vector<TokenId>>();
    const auto margins = golden_case["greedy_margin"].get<std::vector<double>>();
    ids.insert(ids.end(), greedy.begin(), greedy.end() - 1);
    session->run(ids, prompt - 1, [&](std::uint32_t position, std::span<const float> logits) {
      if (position == prompt - 1) {
        const double mass = log_mass(logits), reference_mass = log_mass(reference);
        for (std::size_t i = 0; i < logits.size(); ++i) {
          worst = std::max(worst, std::abs(double{logits[i]} - reference[i]));
          const double p = reference[i] - reference_mass;
          total_kl += std::exp(p) * (p - (logits[i] - mass));
          const auto id = static_cast<TokenId>(i);
          worst_logprob = std::max(worst_logprob, std::abs(logprobs_of(logits, id, 0).chosen - p));
        }
      }
      const std::size_t step = position - (prompt - 1);
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      ++steps;
      same += best == greedy[step];
      EXPECT_TRUE(best == greedy[step] || margins[step] < gate.flip_margin)
          << golden_case["id"] << " step " << step << " margin " << margins[step];
    });
  }
  const double mean_kl = total_kl / static_cast<double>(golden["cases"].size());
  const double agreement = static_cast<double>(same) / static_cast<double>(steps);
  RecordProperty("worst", std::to_string(worst));
  std::printf("%s: worst logit error %.4f, log-probability %.4f, mean KL %.2e, greedy %zu of %zu\n",
              gate.model, worst, worst_logprob, mean_kl, same, steps);
  EXPECT_LE(worst, gate.max_logit_error);
  EXPECT_LE(worst_logprob, gate.max_logit_error);
  EXPECT_LE(mean_kl, gate.mean_kl);
  EXPECT_GE(agreement, gate.least_greedy_agreement);
}

INSTANTIATE_TEST_SUITE_P(, TinyGolden, testing::ValuesIn(gates), [](const auto& info) {
  std::string name = info.param.model;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace aorta::engine
