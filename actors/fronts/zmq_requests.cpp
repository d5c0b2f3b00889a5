// What ZeroMQ clients ask.
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/delivered_hash.hpp"
#include "actors/fronts/draw.hpp"
#include "actors/fronts/fields.hpp"
#include "actors/fronts/key_check.hpp"
#include "actors/fronts/request_parser.hpp"
#include "actors/fronts/sampling_parser.hpp"
#include "actors/fronts/zmq_replies.hpp"
#include "actors/fronts/zmq_server.hpp"
#include "mesh/client_codec.hpp"

namespace aorta::fronts {
namespace {

using admission::GenerateRequest;
using nlohmann::json;

constexpr std::string_view magic = "AOR1";
constexpr std::size_t most_id_bytes = 128;
constexpr std::size_t most_key_bytes = 512;

ZmqReply with_id(ZmqReply reply, const std::string& id) {
  if (!id.empty()) reply.body["id"] = id;
  return reply;
}

// `request`: which one a cancel, a resume or an ack is about.
RequestId request_of(Fields& fields) {
  std::string text;
  fields.text("request", text, most_id_bytes);
  const auto request = RequestId::parse(text);
  if (!request) {
    fields.fail("request", "invalid_value",
                "Invalid 'request': it must be the 32 hex digits that 'accepted' brought.");
  }
  return request.value_or(RequestId{});
}

// `next_index`: the first token not yet seen; of several choices a list, one for each.
std::vector<TokenIndex> next_of(Fields& fields) {
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  const json* value = fields.find("next_index");
  if (value == nullptr) return {TokenIndex{}};
  std::vector<TokenIndex> next;
  for (const json& one : value->is_array() ? *value : json::array({*value})) {
    const auto index = whole_number(one);
    if (!index || *index < 0 || *index > most) {
      fields.fail("next_index", "invalid_value",
                  fmt::format("Invalid 'next_index': it must be an integer between 0 and {}, or "
                              "a list of them, one for each choice.",
                              most));
      break;
    }
    next.push_back({static_cast<std::uint32_t>(*index)});
  }
  return next;
}

// `delivered_hash`: of the tokens before `next_index`; of several choices a list.
void read_hashes(Fields& fields, std::vector<admission::Cursor>& cursors) {
  const json* value = fields.find("delivered_hash");
  if (value == nullptr) return;
  const json all = value->is_array() ? *value : json::array({*value});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto hash = all[i].is_string() ? parse_hash(all[i].get<std::string>())
                                         : std::optional<std::uint64_t>();
    if (!hash || i >= cursors.size()) {
      return fields.fail("delivered_hash", "invalid_value",
                         "Invalid 'delivered_hash': it must be 16 hex digits, or a list of them, "
                         "as long as that of 'next_index'.");
    }
    cursors[i].delivered_hash = hash;
  }
}

// The request itself, as it was sent with `generate`, for an admission that does not know it. Its
// draws must be those of the first time.
std::variant<GenerateRequest, ApiError> carried_request(const json& generate, Fields& resume) {
  auto parsed = parse_request(generate, Endpoint::generate, {});
  if (auto* error = std::get_if<ApiError>(&parsed)) {
    error->param.insert(0, "generate.");
    return std::move(*error);
  }
  GenerateRequest request = std::move(std::get<ParsedRequest>(parsed).generate);
  if (!request.seed_given) parse_seed(resume, request);
  if (!request.seed_given && request.idempotency_key.empty()) {
    return ApiError{400, "missing_required_parameter",
                    "Missing required parameter: 'seed', which 'accepted' brought.", "seed", 0};
  }
  return request;
}

}  // namespace

void ZmqServer::on_message(const mesh::Frames& frames) {
  const std::string& peer = frames[0];
  if (const ZmqPeer* known = peers_.find_peer(peer); known != nullptr && known->lost) lose(peer);
  if (frames.size() != 4 || frames[1] != magic) {
    return garbage(peer,
                   fmt::format("Send three frames: \"AOR1\", a verb and a msgpack map; {}.",
                               frames.size() == 4 ? "the first frame was something else"
                                                  : fmt::format("{} came", frames.size() - 1)));
  }
  const auto body = mesh::decode_client(frames[3]);
  if (!body) return garbage(peer, "Unreadable message: " + body.error().message + ".");
  ++requests_;
  on_verb(peer, frames[2], *body);
}

void ZmqServer::on_verb(const std::string& peer, const std::string& verb, const json& body) {
  std::optional<ApiError> error;
  std::string id;
  Fields fields(body, "", error);
  fields.text("id", id, most_id_bytes);
  std::string key;
  fields.text("api_key", key, most_key_bytes);
  if (error) return refuse(peer, "", *error);
  // A stream that a key has opened on this socket needs none again; a probe needs none at all.
  if (verb == "ack") return ack(peer, id, body);
  if (verb == "status") return send(peer, with_id(status_reply(port_.readiness()), id));
  Call call{{}, peer, id};
  if (error = check_key(*keys_, key, "send it as 'api_key' in each map", call.tenant); error) {
    ++unauthorized_;
    return refuse(peer, id, *error);
  }
  if (verb == "generate") {
    generate(call, body);
  } else if (verb == "resume") {
    resume(call, body);
  } else if (verb == "cancel") {
    cancel(call, body);
  } else if (verb == "models") {
    send(peer, with_id(models_reply(port_.readiness()), id));
  } else if (verb == "tokenize") {
    text(peer, id, "tokenize", tokenize(body, port_));
  } else if (verb == "detokenize") {
    text(peer, id, "detokenize", detokenize(body, port_));
  } else {
    garbage(peer, fmt::format("Unknown verb '{:.32}': use generate, cancel, resume, ack, models, "
                              "status, tokenize or detokenize.",
                              mesh::is_utf8(verb) ? verb : "(not text)"));
  }
}

std::optional<ApiError> ZmqServer::no_room(const std::string& peer, const std::string& id) {
  const ZmqPeer* known = peers_.find_peer(peer);
  if (known == nullptr) {
    if (peers_.peer_count() < options_.max_peers) return std::nullopt;
    return ApiError{503, "too_many_connections",
                    "Too many clients have requests open; try again in a moment.", "", 1000};
  }
  if (known->streams.size() >= options_.max_streams_per_peer) {
    return ApiError{429, "too_many_requests",
                    fmt::format("This socket has {} requests open and may have {}; wait for one "
                                "to end.",
                                known->streams.size(), options_.max_streams_per_peer),
                    "", 1000};
  }
  if (!id.empty() && peers_.has_id(peer, id)) {
    return ApiError{409, "id_in_use", "Another request of this socket is open under the same 'id'.",
                    "id", 0};
  }
  return std::nullopt;
}

ConnectionId ZmqServer::open(ZmqStream stream) {
  const ConnectionId connection{next_id_++};
  if (stream.acks) expire_later();
  // What comes of it must wait with the rest, if its socket's queue is full.
  const ZmqPeer* known = peers_.find_peer(stream.peer);
  if (known != nullptr && !known->unsent.empty()) hold_later(stream.peer);
  peers_.add(connection, std::move(stream));
  return connection;
}

void ZmqServer::generate(const Call& call, const json& body) {
  const auto& [tenant, peer, id] = call;
  if (const auto error = no_room(peer, id)) return refuse(peer, id, *error);
  auto parsed = parse_request(body, Endpoint::generate, {});
  if (const auto* error = std::get_if<ApiError>(&parsed)) return refuse(peer, id, *error);
  auto& ours = std::get<ParsedRequest>(parsed);
  std::optional<ApiError> error;
  ZmqStream stream{.peer = peer, .id = id, .ignored = std::move(ours.ignored)};
  Fields(body, "", error).boolean("acks", stream.acks);
  if (error) return refuse(peer, id, *error);
  ours.generate.tenant = tenant;
  draw_identity(ours.generate);
  stream.request = ours.generate.id;
  port_.generate(open(std::move(stream)), std::move(ours.generate));
}

void ZmqServer::resume(const Call& call, const json& body) {
  const auto& [tenant, peer, id] = call;
  std::optional<ApiError> error = no_room(peer, id);
  ZmqStream stream{.peer = peer, .id = id};
  Fields fields(body, "", error);
  admission::ResumeRequest ask{.tenant = tenant, .request = request_of(fields)};
  stream.request = ask.request;
  stream.choices.clear();
  for (const TokenIndex index : next_of(fields)) {
    stream.choices.push_back({index, index});
    ask.cursors.push_back({.next = index});
  }
  read_hashes(fields, ask.cursors);
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  ask.life = static_cast<std::uint32_t>(fields.integer("life", 0, most).value_or(0));
  fields.boolean("acks", stream.acks);
  if (const json* generate = fields.find("generate")) {
    auto carried = carried_request(*generate, fields);
    if (!error && std::holds_alternative<ApiError>(carried)) error = std::get<ApiError>(carried);
    if (!error) {
      ask.carried = std::get<GenerateRequest>(std::move(carried));
      ask.carried->tenant = tenant;
      draw_identity(*ask.carried);
    }
  }
  if (error) return refuse(peer, id, *error);
  port_.resume(open(std::move(stream)), std::move(ask));
}

// On the stream's own connection, if this peer has it: its end then answers the cancel too.
void ZmqServer::cancel(const Call& call, const json& body) {
  const auto& [tenant, peer, id] = call;
  std::optional<ApiError> error;
  Fields fields(body, "", error);
  const RequestId request = request_of(fields);
  ConnectionId connection;
  if (!error && peers_.find_request(peer, request, &connection) == nullptr) {
    error = no_room(peer, "");
    if (!error) {
      connection = open({.peer = peer, .id = id, .request = request, .is_cancel = true});
    }
  }
  if (error) return refuse(peer, id, *error);
  port_.cancel(connection, tenant, request);
}

void ZmqServer::ack(const std::string& peer, const std::string& id, const json& body) {
  std::optional<ApiError> error;
  Fields fields(body, "", error);
  const RequestId request = request_of(fields);
  const std::vector<TokenIndex> next = next_of(fields);
  ZmqStream* stream = peers_.find_request(peer, request);
  for (std::size_t i = 0; stream != nullptr && i < next.size(); ++i) {
    const TokenIndex sent = i < stream->choices.size() ? stream->choices[i].sent : TokenIndex{};
    if (next[i] <= sent) continue;
    fields.fail("next_index", "invalid_value",
                fmt::format("Invalid 'next_index': {} was acknowledged, but {} is the next token "
                            "to be sent.",
                            next[i].value, sent.value));
  }
  if (error) return send(peer, with_id(unreadable(error->message), id));
  // It may have ended: an ack may cross the end on its way.
  if (stream != nullptr) stream->acknowledge(next, now());
}

void ZmqServer::text(const std::string& peer, const std::string& id, const char* verb,
                     std::variant<TextAnswer, ApiError> answer) {
  if (const auto* error = std::get_if<ApiError>(&answer)) return refuse(peer, id, *error);
  auto& text = std::get<TextAnswer>(answer);
  for (const char* ours : {"id", "api_key"}) std::erase(text.ignored, ours);
  send(peer, with_id(text_reply(verb, std::move(text)), id));
}

void ZmqServer::garbage(const std::string& peer, std::string sentence) {
  ++garbage_;
  loop_.trouble("A ZeroMQ client sent what cannot be read. It was told: " + sentence);
  send(peer, unreadable(std::move(sentence)));
}

void ZmqServer::refuse(const std::string& peer, const std::string& id, const ApiError& error) {
  send(peer, with_id(rejected(error), id));
}

}  // namespace aorta::fronts
