#pragma once
// What passes between admission and its fronts (ZeroMQ, HTTP). Fronts parse and print; admission
// decides. All calls are on the loop's thread.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "engine/engine.hpp"
#include "engine/text/text_model.hpp"
#include "mesh/messages.hpp"

namespace aorta::admission {

enum class OnDisconnect : std::uint8_t { cancel, park, finish };

// A parsed request. Fields and defaults are OpenAI's; what only Aorta has is under `aorta` on the
// wire: tier, tenant_class, timeout_ms, determinism, on_disconnect.
struct GenerateRequest {
  RequestId id;                 // drawn by the front
  std::string idempotency_key;  // empty: none
  std::string body_digest;      // of the body, to tell a retry from another request (409)
  std::string tenant = "default";
  std::string model;                          // empty or "default": the default model
  std::vector<engine::ChatMessage> messages;  // chat; else `prompt`, else `prompt_ids`
  std::optional<std::string> prompt;
  std::vector<TokenId> prompt_ids;
  engine::Sampling sampling;  // seed: the client's, or drawn by the front
  bool seed_given = false;
  bool sampling_given = true;  // temperature or top_p; without either the model's own are taken
  std::uint32_t choices = 1;                  // OpenAI's `n`: answers, each with its own draws
  std::optional<std::uint32_t> top_logprobs;  // of each token, beside its own; absent: none at all
  std::vector<std::string> stop;
  std::vector<TokenId> stop_ids;  // beside the model's own
  std::optional<std::uint32_t> max_tokens;
  std::uint32_t min_tokens = 0;
  bool ignore_eos = false;
  mesh::Tier tier = mesh::Tier::high;
  std::uint32_t timeout_ms = 0;  // 0: the configured one
  mesh::Determinism determinism = mesh::Determinism::prefer;
  std::optional<OnDisconnect> on_disconnect;  // absent: cancel, or park with an idempotency key
};

struct Usage {  // of one choice
  std::uint32_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  std::uint32_t reasoning_tokens = 0;  // of the completion's
};

// How far a client has got with one choice.
struct Cursor {
  TokenIndex next;        // the first id that it has not seen
  bool end_text = false;  // it has the text that came without ids, at the end
  std::optional<std::uint64_t> delivered_hash;  // of the ids before `next` (delivered_hash.hpp)
};

// Goes on with a stream, on any connection and, if it is carried along, at any admission.
struct ResumeRequest {
  std::string tenant;
  RequestId request;
  std::vector<Cursor> cursors;  // of each choice; from the beginning where there is none
  std::uint32_t life = 0;       // the latest that `accepted` told
  std::optional<GenerateRequest> carried;  // to be generated again where the request is not known
};

// ── Admission → front ────────────────────────────────────────────────────────────────────────
// The answer to generate() and to resume(), before any Delta.
struct Accepted {
  RequestId request;  // an earlier one's when an idempotency key named it
  std::string model;
  std::uint64_t seed = 0;
  std::uint32_t choices = 1;
  std::uint32_t prompt_tokens = 0;
  bool chat = true;        // it was asked with messages, not with a prompt
  std::uint32_t life = 0;  // at how many admissions it has begun anew: to be sent with a resume
};
// Not accepted, or a call about an unknown request. status and names are HTTP's and OpenAI's.
struct Rejected {
  RequestId request;
  int status = 400;
  std::string code;     // queue_full, context_length_exceeded, model_not_found, …
  std::string message;  // a sentence that says what to do
  std::string param;    // the field at fault, if one is
  std::uint32_t retry_after_ms = 0;
};
struct TokenLogprob {
  std::string bytes;  // of the token; may stop inside a UTF-8 character
  float logprob = 0;
};
struct Delta {
  RequestId request;
  TokenIndex first;          // of `ids`
  std::vector<TokenId> ids;  // ledger entries since the last Delta to this subscriber; none: the
                             // text is what only the answer's end has released
  std::string text;          // of the answer, released by them; may be empty
  std::string reasoning;     // of the model's thinking, before that text; may be empty
  std::uint32_t choice = 0;
  struct Logprobs {
    TokenLogprob chosen;
    std::vector<TokenLogprob> top;  // the likeliest first
  };
  std::vector<Logprobs> logprobs;  // one for each id where they were asked for; else none
};
struct Waiting {  // still queued or between executors: a sign of life, each second
  RequestId request;
};
struct Done {  // one choice is complete; the last one ends the request
  RequestId request;
  std::string finish_reason;  // stop | length | cancelled | timeout
  Usage usage;
  std::uint32_t epochs = 1;
  bool same_numerics = true;  // determinism: the whole stream is of one numerics_id
  std::uint32_t choice = 0;
};
struct Failed {  // accepted, but ended in an error: as Done
  RequestId request;
  int status = 500;
  std::string code;
  std::string message;
  std::uint32_t choice = 0;
};
using ClientEvent = std::variant<Accepted, Rejected, Delta, Waiting, Done, Failed>;

// Sent to a front for one of its connections.
class Front {
 public:
  virtual ~Front() = default;
  virtual void deliver(ConnectionId connection, const ClientEvent& event) = 0;
  virtual std::vector<mesh::Figure> figures() const { return {}; }  // reported with admission's
};

struct Readiness {
  bool ready = false;  // can serve now
  std::string reason;  // why not
  std::vector<std::string> models;
  std::uint32_t open_requests = 0;
};

// What fronts ask of admission. Connection ids are unique among all fronts of an admission
// (a front gets its range when it is registered).
class ClientPort {
 public:
  virtual ~ClientPort() = default;
  virtual void generate(ConnectionId connection, GenerateRequest request) = 0;
  virtual void cancel(ConnectionId connection, const std::string& tenant, RequestId request) = 0;
  // Continues the stream on this connection; what was delivered is skipped.
  virtual void resume(ConnectionId connection, ResumeRequest resume) = 0;
  // The client is known to be gone: each of its requests does as its on_disconnect says.
  virtual void gone(ConnectionId connection) = 0;
  // The client's socket is full (true) or drained (false): deltas are held back in the ledger.
  virtual void hold(ConnectionId connection, bool held) = 0;
  virtual Readiness readiness() const = 0;
  // The tokenizer and template of a served model; empty or "default": the default one. Null when
  // no such model is served.
  virtual std::shared_ptr<const engine::TextModel> text_model(const std::string& name) const = 0;
  virtual std::vector<mesh::Figure> figures() const = 0;
  // One request as JSON, epochs included; empty when the tenant has no such request.
  virtual std::string request_json(const std::string& tenant, RequestId request) const = 0;
};

}  // namespace aorta::admission
