#pragma once
// What the requests for one model came to, under vLLM's names and with its buckets: dashboards and
// autoscalers made for vLLM read them as they are.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/admission/request.hpp"
#include "actors/figures.hpp"

namespace aorta::admission {

class ModelTally {
 public:
  explicit ModelTally(std::uint32_t context_tokens);

  void accepted(std::uint32_t choices, std::uint32_t max_tokens);
  // `tokens` more of a request's answer. Before Request::last_token says so.
  void generated(const Request& request, std::size_t tokens, TimePoint now);
  void ended(const Request& request, TimePoint now);

  struct Open {  // now
    std::uint64_t running = 0, waiting = 0;
  };
  std::vector<mesh::Figure> figures(const std::string& model, const Open& open) const;

 private:
  void observe_times(const Request& request, TimePoint now);

  std::uint64_t prompt_tokens_ = 0, generated_tokens_ = 0;
  std::array<std::uint64_t, 4> ended_{};  // in the order of vLLM's reasons
  actors::Histogram prompt_, generation_, params_n_, params_max_tokens_;
  actors::Histogram first_token_, between_tokens_, per_token_of_request_;
  actors::Histogram whole_, queue_, prefill_, decode_, inference_;
};

}  // namespace aorta::admission
