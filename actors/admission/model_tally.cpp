// Buckets: vLLM's vllm/v1/metrics/loggers.py.
#include "actors/admission/model_tally.hpp"

#include <string_view>

namespace aorta::admission {
namespace {

using actors::counter;
using actors::gauge;
using actors::label;
using actors::labels_of;

const std::vector<double> first_token_bounds_s{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                               0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                               20,    40,    80,   160,  640,  2560};
const std::vector<double> per_token_bounds_s{
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
const std::vector<double> latency_bounds_s{0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                           30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const std::vector<double> choices_bounds{1, 2, 5, 10, 20};

// 1, 2, 5, 10, 20 … as far as the context goes.
std::vector<double> tokens_bounds(std::uint32_t context_tokens) {
  std::vector<double> bounds;
  for (double power = 1; power <= context_tokens; power *= 10) {
    for (const double bound : {power, 2 * power, 5 * power}) {
      if (bound <= context_tokens) bounds.push_back(bound);
    }
  }
  return bounds;
}

constexpr std::array<std::string_view, 4> reasons{"stop", "length", "abort", "error"};

std::size_t reason_of(const Outcome& outcome) {
  if (outcome.failed()) return 3;
  if (outcome.finish_reason == "stop") return 0;
  return outcome.finish_reason == "length" ? 1 : 2;
}

double seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

}  // namespace

ModelTally::ModelTally(std::uint32_t context_tokens)
    : prompt_(tokens_bounds(context_tokens)),
      generation_(tokens_bounds(context_tokens)),
      params_n_(choices_bounds),
      params_max_tokens_(tokens_bounds(context_tokens)),
      first_token_(first_token_bounds_s),
      between_tokens_(per_token_bounds_s),
      per_token_of_request_(per_token_bounds_s),
      whole_(latency_bounds_s),
      queue_(latency_bounds_s),
      prefill_(latency_bounds_s),
      decode_(latency_bounds_s),
      inference_(latency_bounds_s) {}

void ModelTally::accepted(std::uint32_t choices, std::uint32_t max_tokens) {
  params_n_.observe(choices);
  params_max_tokens_.observe(max_tokens);
}

void ModelTally::generated(const Request& request, std::size_t tokens, TimePoint now) {
  generated_tokens_ += tokens;
  if (request.first_token == never) {
    prompt_tokens_ += request.ledger.prompt().size();
    first_token_.observe(seconds(now - request.arrived));
  } else {
    between_tokens_.observe(seconds(now - request.last_token) / double(tokens), tokens);
  }
}

void ModelTally::ended(const Request& request, TimePoint now) {
  ++ended_[reason_of(*request.ledger.outcome())];
  prompt_.observe(double(request.ledger.prompt().size()));
  generation_.observe(double(request.ledger.generated().size()));
  observe_times(request, now);
}

void ModelTally::observe_times(const Request& request, TimePoint now) {
  whole_.observe(seconds(now - request.arrived));
  if (request.first_placed == never) return;
  queue_.observe(seconds(request.first_placed - request.arrived));
  if (request.first_token == never) return;
  const double decode = seconds(request.last_token - request.first_token);
  prefill_.observe(seconds(request.first_token - request.first_placed));
  decode_.observe(decode);
  inference_.observe(seconds(request.last_token - request.first_placed));
  const std::size_t tokens = request.ledger.generated().size();
  if (tokens > 1) per_token_of_request_.observe(decode / double(tokens - 1));
}

std::vector<mesh::Figure> ModelTally::figures(const std::string& model, const Open& open) const {
  const std::string of_model = label("model_name", model);
  std::vector<mesh::Figure> figures{
      gauge("vllm:num_requests_running", of_model, double(open.running)),
      gauge("vllm:num_requests_waiting", of_model, double(open.waiting)),
      counter("vllm:prompt_tokens_total", of_model, double(prompt_tokens_)),
      counter("vllm:generation_tokens_total", of_model, double(generated_tokens_)),
  };
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    figures.push_back(counter("vllm:request_success_total",
                              labels_of(of_model, label("finished_reason", reasons[i])),
                              double(ended_[i])));
  }
  const std::pair<const char*, const actors::Histogram&> histograms[] = {
      {"vllm:request_prompt_tokens", prompt_},
      {"vllm:request_generation_tokens", generation_},
      {"vllm:request_params_n", params_n_},
      {"vllm:request_params_max_tokens", params_max_tokens_},
      {"vllm:time_to_first_token_seconds", first_token_},
      {"vllm:inter_token_latency_seconds", between_tokens_},
      {"vllm:time_per_output_token_seconds", between_tokens_},
      {"vllm:request_time_per_output_token_seconds", per_token_of_request_},
      {"vllm:e2e_request_latency_seconds", whole_},
      {"vllm:request_queue_time_seconds", queue_},
      {"vllm:request_prefill_time_seconds", prefill_},
      {"vllm:request_decode_time_seconds", decode_},
      {"vllm:request_inference_time_seconds", inference_},
  };
  for (const auto& [name, histogram] : histograms) histogram.append_to(figures, name, of_model);
  return figures;
}

}  // namespace aorta::admission
