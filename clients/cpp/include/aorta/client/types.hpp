#pragma once
// What answers are made of. Fields are named as on the wire (docs/protocol.md), from which
// MSGPACK_DEFINE_MAP reads them; one that does not come keeps its default.
#include <cstdint>
#include <map>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <vector>

#include "aorta/client/errors.hpp"

namespace aorta::client {

struct TokenLogprob {
  std::string token;
  double logprob = 0;
  std::vector<int> bytes;  // exact, where `token` is not: it may stop inside a character
  MSGPACK_DEFINE_MAP(token, logprob, bytes)
};

// Of a generated token, and of the likeliest in its place.
struct Logprob {
  std::string token;
  double logprob = 0;
  std::vector<int> bytes;
  std::vector<TokenLogprob> top_logprobs;
  MSGPACK_DEFINE_MAP(token, logprob, bytes, top_logprobs)
};

// Some tokens of an answer: `ids` begin at `index`; `text` may lag behind them. `reasoning` is the
// model's thinking, which comes before its text; `logprobs` has an entry for each id where they
// were asked for.
struct Piece {
  std::uint32_t index = 0;
  std::vector<std::uint32_t> ids;
  std::string text, reasoning;
  std::uint32_t choice = 0;
  std::vector<Logprob> logprobs;
  MSGPACK_DEFINE_MAP(index, ids, text, reasoning, choice, logprobs)
};

// How an answer ended. finish_reason: stop, length, cancelled or timeout.
struct Result {
  std::string finish_reason;
  std::map<std::string, std::uint64_t> usage;  // prompt_tokens, completion_tokens, …
  std::uint32_t epochs = 0;
  bool same_numerics = true;
  MSGPACK_DEFINE_MAP(finish_reason, usage, epochs, same_numerics)
};

// One of the answers to a question, as far as it has come.
struct Choice {
  std::uint32_t next_index = 0;  // of the next token: where a resume goes on
  std::vector<std::uint32_t> ids;
  std::string text, reasoning;
  std::vector<Logprob> logprobs;
  std::optional<Result> result;
  std::optional<Failed> failure;
  bool ended() const { return result || failure; }
};

// Whether a request could be served now, and why not.
struct Status {
  bool ready = false;
  std::string reason;
  std::vector<std::string> models;
  std::uint32_t open_requests = 0;
  MSGPACK_DEFINE_MAP(ready, reason, models, open_requests)
};

}  // namespace aorta::client
