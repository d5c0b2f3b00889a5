#include "mesh/zmq_zap.hpp"

#include <fmt/format.h>

#include "mesh/zmq_curve.hpp"

namespace aorta::mesh {
namespace {

// request := peer "" version id domain address routing-id mechanism key
// reply   := peer "" version id status text user-id metadata
enum RequestFrame { peer, delimiter, version, id, domain, address, routing_id, mechanism, key };
constexpr std::size_t request_frames = 9;
constexpr std::string_view zap_version = "1.0";

}  // namespace

Zap::Zap(WireLoop& loop) : loop_(loop) {
  LoopSocketOptions options;
  options.max_frames = request_frames;
  socket_ = std::make_unique<LoopSocket>(loop, options, [this](std::vector<Frames>& batch) {
    for (const Frames& request : batch) answer(request);
  });
  const auto bound = socket_->bind("inproc://zeromq.zap.01");
  AORTA_CHECK(bound.ok(), "one loop has one ZAP socket");
}

Result<std::string> Zap::decide(const Frames& request) const {
  const auto judge = judges_.find(request[domain]);
  if (judge == judges_.end() || request[mechanism] != "CURVE") {
    return Error{ErrorCode::unsupported, "nobody decides about such connections"};
  }
  return judge->second(curve_key_of(request[key]));
}

void Zap::answer(const Frames& request) {
  const bool readable = request.size() == request_frames && request[version] == zap_version;
  AORTA_CHECK(readable, "libzmq asks in ZAP 1.0");
  const auto user = decide(request);
  if (!user) {
    loop_.refuse(user.error().code == ErrorCode::not_found ? "unknown_key" : "wrong_role",
                 fmt::format("refused a connection from {} to {}: {}", request[address],
                             request[domain], user.error().message));
  }
  socket_->send({request[peer], "", zap_version, request[id], user ? "200" : "400",
                 user ? "OK" : "refused", user ? std::string_view(*user) : "", ""});
}

}  // namespace aorta::mesh
