#include "actors/fronts/zmq_front.hpp"

#include "actors/fronts/zmq_server.hpp"

namespace aorta::fronts {

struct ZmqFront::Impl : ZmqServer {
  using ZmqServer::ZmqServer;
};

ZmqFront::ZmqFront(mesh::WireLoop& loop, admission::ClientPort& port, ZmqOptions options,
                   std::shared_ptr<const mesh::ApiKeys> keys)
    : impl_(std::make_shared<Impl>(loop, port, std::move(options), std::move(keys))) {}

ZmqFront::~ZmqFront() { impl_->close(false); }

void ZmqFront::start(ConnectionId first) { impl_->start(first); }
const std::vector<std::string>& ZmqFront::endpoints() const { return impl_->endpoints(); }

void ZmqFront::deliver(ConnectionId connection, const admission::ClientEvent& event) {
  impl_->deliver(connection, event);
}

void ZmqFront::drain(std::function<void()> on_empty) { impl_->drain(std::move(on_empty)); }
void ZmqFront::close() { impl_->close(true); }
std::vector<mesh::Figure> ZmqFront::figures() const { return impl_->figures(); }

}  // namespace aorta::fronts
