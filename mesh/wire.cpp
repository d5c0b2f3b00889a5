#include "mesh/wire.hpp"

#include <fmt/format.h>

#include <optional>
#include <span>
#include <utility>

#include "mesh/codec.hpp"
#include "mesh/endpoint.hpp"
#include "mesh/routing_id.hpp"
#include "mesh/zmq_zap.hpp"

namespace aorta::mesh {
namespace {

constexpr std::size_t max_printed_bytes = 64;

// A stranger's bytes for a log line.
std::string printable(std::string_view bytes) {
  std::string text(bytes.substr(0, max_printed_bytes));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '.';
  }
  return text;
}

Result<Message> read_frames(std::span<const std::string> frames) {
  if (frames.size() != 3) {
    return Error{ErrorCode::corrupt, fmt::format("{} frames instead of 3", frames.size())};
  }
  if (frames[0] != frame_magic) {
    return Error{ErrorCode::corrupt, fmt::format("the first frame is not {}", frame_magic)};
  }
  return decode(std::string_view(frames[1]), frames[2]);
}

}  // namespace

Wire::Wire(WireLoop& loop, PeerId self, WireOptions options, OnBatch on_batch)
    : loop_(loop), self_(std::move(self)), options_(options), on_batch_(std::move(on_batch)) {
  AORTA_CHECK(is_service_name(self_.name) && self_.incarnation.value != 0,
              "a service has a name of letters, digits, - _ . and an incarnation");
}

Wire::~Wire() = default;

Result<std::string> Wire::bind(const std::string& endpoint) {
  if (!router_) open_router(is_tcp(endpoint));
  return router_->bind(endpoint);
}

// Under keys when it is for TCP; a service's other endpoints are in a private folder.
void Wire::open_router(bool tcp) {
  LoopSocketOptions options{.kind = LoopSocketOptions::Kind::router,
                            .max_frame_bytes = options_.max_message_bytes,
                            .send_queue_messages = options_.send_queue_messages};
  if (tcp && options_.keys) {
    const std::string domain = name_of(options_.keys->role);
    options.curve_server = CurveServer{options_.keys->own.secret_key, domain};
    options.tells_user = proves_roles_ = true;
    loop_.zap().judge(domain, [keys = options_.keys](const std::string& public_key) {
      return keys->let_in(public_key);
    });
  }
  router_ = std::make_unique<LoopSocket>(
      loop_, options, [this](std::vector<Frames>& batch) { on_frames({}, batch); });
}

Result<void> Wire::dial(const std::string& name, const std::string& address) {
  dealers_.erase(name);
  LoopSocketOptions options{.kind = LoopSocketOptions::Kind::dealer,
                            .routing_id = to_routing_id(self_),
                            .max_frame_bytes = options_.max_message_bytes,
                            .send_queue_messages = options_.send_queue_messages};
  if (options_.keys && is_tcp(address)) options.curve_client = options_.keys->to(name);
  auto dealer = std::make_unique<LoopSocket>(
      loop_, options, [this, name](std::vector<Frames>& batch) { on_frames(name, batch); });
  if (auto connected = dealer->connect(address); !connected.ok()) return connected.error();
  dealers_[name] = std::move(dealer);
  return {};
}

void Wire::hang_up(const std::string& name) { dealers_.erase(name); }

SendResult Wire::send(const PeerId& to, const Message& message) {
  const std::string type = encode_type(message), body = encode_body(message);
  if (body.size() > options_.max_message_bytes) {
    loop_.trouble(fmt::format("message {} of {} bytes to {} is not sent: a message may have {}",
                              number_of(message), body.size(), to.name,
                              options_.max_message_bytes));
    ++counts_.too_large;
    return SendResult::full;
  }
  SendResult result = SendResult::unreachable;
  if (router_ && to.incarnation.value != 0) {
    result = router_->send({to_routing_id(to), frame_magic, type, body});
  }
  if (result == SendResult::unreachable) {
    auto dealer = dealers_.find(to.name);
    if (dealer != dealers_.end()) result = dealer->second->send({frame_magic, type, body});
  }
  ++(result == SendResult::sent   ? counts_.sent
     : result == SendResult::full ? counts_.full
                                  : counts_.unreachable);
  return result;
}

// What a router's message begins with: the role, under keys, and the routing id.
std::optional<Sender> Wire::take_sender(std::span<const std::string>& frames) const {
  std::optional<ServiceKind> role;
  if (proves_roles_) {
    role = role_named(frames.front());
    frames = frames.subspan(1);
  }
  const auto from = from_routing_id(frames.front());
  frames = frames.subspan(1);
  if (!from || (proves_roles_ && !role)) return std::nullopt;
  return Sender(*from, role);
}

void Wire::on_frames(const std::string& dialled_name, std::vector<Frames>& batch) {
  std::vector<Incoming> incoming;
  incoming.reserve(batch.size());
  for (const Frames& frames : batch) {
    std::span<const std::string> rest(frames);
    std::optional<Sender> from = Sender(dialled_name, {});
    if (dialled_name.empty()) from = take_sender(rest);
    auto message = from ? read_frames(rest)
                        : Result<Message>(Error{ErrorCode::corrupt, "no routing id of a service"});
    if (message.ok()) {
      incoming.push_back({std::move(*from), std::move(message).value()});
      continue;
    }
    ++counts_.garbage;
    const std::string& sender = dialled_name.empty() ? frames[proves_roles_ ? 1 : 0] : dialled_name;
    loop_.trouble(
        fmt::format("dropped a message from '{}': {}", printable(sender), message.error().message));
  }
  counts_.received += incoming.size();
  if (!incoming.empty()) on_batch_(std::move(incoming));
}

}  // namespace aorta::mesh
