#pragma once
// Running a request: admission ↔ executor.
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mesh/messages/placing.hpp"

namespace aorta::mesh {

struct SamplingFields {  // mirrors engine::Sampling; `seed` is always set
  float temperature = 1, top_p = 1, min_p = 0;
  std::uint32_t top_k = 0;
  float presence_penalty = 0, frequency_penalty = 0, repetition_penalty = 1;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;
  std::uint32_t choice = 0;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.temperature, s.top_p, s.min_p, s.top_k, s.presence_penalty,
                    s.frequency_penalty, s.repetition_penalty, s.logit_bias, s.seed, s.choice);
  }
};
struct Start {
  static constexpr std::uint16_t number = 30;
  RequestKey key;
  std::vector<TokenId> prompt;
  std::vector<TokenId> generated;  // by earlier epochs
  std::uint32_t max_tokens = 0;    // total generated
  std::uint32_t min_tokens = 0;
  std::vector<TokenId> stop_ids;
  SamplingFields sampling;
  std::uint32_t lease_ms = 0;      // the executor's right to go on without an Ack
  bool logprobs = false;           // each token comes with its log-probability
  std::uint32_t top_logprobs = 0;  // and with those of so many of the likeliest
  std::uint64_t cache_salt = 0;    // the tenant's: nobody else hits its cached prefixes
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.prompt, s.generated, s.max_tokens, s.min_tokens, s.stop_ids,
                    s.sampling, s.lease_ms, s.logprobs, s.top_logprobs, s.cache_salt);
  }
};
enum class Finish : std::uint8_t { none = 0, stop = 1, length = 2 };  // engine::Finish
struct TokenLogprobs {                                                // engine::TokenLogprobs
  float chosen = 0;
  std::vector<std::pair<TokenId, float>> top;
  bool operator==(const TokenLogprobs&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.chosen, s.top);
  }
};
struct TokenRun {
  RequestKey key;
  TokenIndex first;
  std::vector<TokenId> ids;             // at first, first + 1, …
  Finish finish = Finish::none;         // of the last id: the stream is complete
  std::vector<TokenLogprobs> logprobs;  // one for each id where Start asked for them; else none
  std::uint32_t cached_tokens = 0;      // of its prompt, found in a cache; with the epoch's first ids
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.first, s.ids, s.finish, s.logprobs, s.cached_tokens);
  }
};
// Executor → admission: one per engine step and admission.
struct Tokens {
  static constexpr std::uint16_t number = 31;
  std::vector<TokenRun> runs;
  std::string numerics_id;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.runs, s.numerics_id);
  }
};
struct AckItem {
  RequestKey key;
  TokenIndex next;        // everything before it is in the ledger
  bool complete = false;  // the finish is too: forget the stream
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.next, s.complete);
  }
};
// Admission → executor: cumulative, at most one per 20 ms, at least one per lease_ms / 4 naming
// every epoch that admission holds there; renews their leases.
struct Ack {
  static constexpr std::uint16_t number = 32;
  std::vector<AckItem> items;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.items);
  }
};
struct Expect {  // a gap: send again from `next`
  static constexpr std::uint16_t number = 33;
  RequestKey key;
  TokenIndex next;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.next);
  }
};
struct Stop {  // admission or scheduler → executor: forget this epoch by the end of the step
  static constexpr std::uint16_t number = 34;
  RequestKey key;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key);
  }
};
// Executor → admission: will not produce (more of) this epoch: no slot, draining, unknown after a
// restart, lease run out. Admission takes it as Lost.
struct Declined {
  static constexpr std::uint16_t number = 35;
  RequestKey key;
  LostReason reason{};
  std::string sentence;
  bool invalid = false;  // the request can run on no executor: it ends `failed` with the sentence
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.reason, s.sentence, s.invalid);
  }
};

}  // namespace aorta::mesh
