// What admission counts under vLLM's names, read as /metrics shows it.
#include "actors/admission/model_tally.hpp"

#include <gtest/gtest.h>

#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

class Figures {
 public:
  explicit Figures(const Harness& h) : all_(h.core.figures(h.now)) {}
  // Of the one model; `labels` follow model_name. −1: there is none.
  double operator()(const std::string& name, const std::string& labels = "") const {
    const std::string wanted = actors::labels_of("model_name=\"fake\"", labels);
    for (const mesh::Figure& figure : all_) {
      if (figure.name == name && figure.labels == wanted) return figure.value;
    }
    return -1;
  }
  double of_mesh(const std::string& name) const {
    for (const mesh::Figure& figure : all_) {
      if (figure.name == name) return figure.value;
    }
    return -1;
  }

 private:
  std::vector<mesh::Figure> all_;
};

// Waits 2 s, prefills for 0.5 s, decodes 4 more tokens in 0.4 s, ends after 3 s more.
TEST(ModelTally, TimesOfARequest) {
  Harness h;
  h.join(executor(1));
  h.generate(1, h.ask(1));
  h.advance(2000);
  h.place(1, executor(1));
  h.advance(500);
  h.tokens(executor(1), key(1), 0, "a");
  h.advance(400);
  h.tokens(executor(1), key(1), 1, "bcde");
  h.advance(3000);
  h.cancel(1, 1);
  const Figures figures(h);
  EXPECT_DOUBLE_EQ(figures("vllm:time_to_first_token_seconds_sum"), 2.5);
  EXPECT_DOUBLE_EQ(figures("vllm:time_to_first_token_seconds_bucket", "le=\"1.0\""), 0);
  EXPECT_DOUBLE_EQ(figures("vllm:time_to_first_token_seconds_bucket", "le=\"2.5\""), 1);
  EXPECT_DOUBLE_EQ(figures("vllm:inter_token_latency_seconds_sum"), 0.4);
  EXPECT_DOUBLE_EQ(figures("vllm:inter_token_latency_seconds_count"), 4);
  EXPECT_DOUBLE_EQ(figures("vllm:inter_token_latency_seconds_bucket", "le=\"0.1\""), 4);
  EXPECT_DOUBLE_EQ(figures("vllm:request_time_per_output_token_seconds_sum"), 0.1);
  EXPECT_DOUBLE_EQ(figures("vllm:request_queue_time_seconds_sum"), 2);
  EXPECT_DOUBLE_EQ(figures("vllm:request_prefill_time_seconds_sum"), 0.5);
  EXPECT_DOUBLE_EQ(figures("vllm:request_decode_time_seconds_sum"), 0.4);
  EXPECT_DOUBLE_EQ(figures("vllm:request_inference_time_seconds_sum"), 0.9);
  EXPECT_DOUBLE_EQ(figures("vllm:e2e_request_latency_seconds_sum"), 5.9);
  EXPECT_DOUBLE_EQ(figures("vllm:request_success_total", "finished_reason=\"abort\""), 1);
}

TEST(ModelTally, AnExecutorsDeathCountsNothingTwice) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.lose(1, 1);
  EXPECT_EQ(Figures(h)("vllm:num_requests_waiting"), 1);
  h.place(1, executor(1), 2);
  h.tokens(executor(1), key(1, 2), 5, "!", mesh::Finish::stop);
  const Figures figures(h);
  EXPECT_EQ(figures("vllm:prompt_tokens_total"), 3);
  EXPECT_EQ(figures("vllm:generation_tokens_total"), 7);  // the stop id is one
  EXPECT_EQ(figures("vllm:request_prompt_tokens_sum"), 3);
  EXPECT_EQ(figures("vllm:request_generation_tokens_sum"), 7);
  EXPECT_EQ(figures("vllm:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(figures("vllm:request_success_total", "finished_reason=\"stop\""), 1);
  EXPECT_EQ(figures("vllm:num_requests_running"), 0);
}

TEST(ModelTally, ParametersAndChoices) {
  Harness h;
  auto ask = h.ask(1);
  ask.choices = 2;
  ask.max_tokens = 100;
  h.generate(1, std::move(ask));
  const Figures figures(h);
  EXPECT_EQ(figures("vllm:request_params_n_sum"), 2);
  EXPECT_EQ(figures("vllm:request_params_n_bucket", "le=\"1.0\""), 0);
  EXPECT_EQ(figures("vllm:request_params_max_tokens_bucket", "le=\"50.0\""), 0);
  EXPECT_EQ(figures("vllm:request_params_max_tokens_bucket", "le=\"100.0\""), 1);
  EXPECT_EQ(figures("vllm:request_params_max_tokens_bucket", "le=\"2000.0\""), 1);
  EXPECT_EQ(figures("vllm:request_params_max_tokens_bucket", "le=\"5000.0\""), -1)
      << "the context has 2048 tokens";
  EXPECT_EQ(figures("vllm:num_requests_waiting"), 2);
}

TEST(ModelTally, TheOldestWaitIsThatOfTheFirstWhoWasNotTakenUp) {
  Harness h;
  h.join(executor(1));
  EXPECT_EQ(Figures(h).of_mesh("aorta_requests_oldest_wait_seconds"), 0);
  h.generate(1, h.ask(1));
  h.advance(3000);
  h.generate(2, h.ask(2));
  h.advance(1000);
  EXPECT_DOUBLE_EQ(Figures(h).of_mesh("aorta_requests_oldest_wait_seconds"), 4);
  h.place(1, executor(1));
  EXPECT_DOUBLE_EQ(Figures(h).of_mesh("aorta_requests_oldest_wait_seconds"), 1);
}

}  // namespace
}  // namespace aorta::admission
