#pragma once
// Admission's HTTP side: OpenAI's API, health, readiness and metrics. Runs on the loop's thread,
// and never calls the port from within deliver().
//
// To admission every generate and every resume comes from a connection id of its own, whichever
// TCP connection carries it. An id's life ends with Done, Failed or Rejected, or with gone().
#include <functional>
#include <memory>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/http_options.hpp"
#include "actors/fronts/tls.hpp"
#include "mesh/api_keys.hpp"

namespace boost::asio {
class io_context;
}

namespace aorta::fronts {

class HttpFront final : public admission::Front {
 public:
  // `keys`: who may ask; the default lets everybody in.
  HttpFront(boost::asio::io_context& io, admission::ClientPort& port, HttpOptions options,
            std::shared_ptr<const mesh::ApiKeys> keys = std::make_shared<mesh::ApiKeys>());
  // Closes every connection, but tells admission nothing, which may be gone already.
  ~HttpFront();

  // Of connections from now on; null: they are plain.
  void use_tls(std::shared_ptr<const TlsContext> tls);
  // Listens from now on; connection ids are first, first + 1, … Throws std::runtime_error with a
  // sentence when the address is wrong or taken.
  void start(ConnectionId first);
  std::uint16_t port() const;  // where it listens
  void deliver(ConnectionId connection, const admission::ClientEvent& event) override;
  // Listens no more, closes idle connections, ends the others after their answers; then calls
  // `on_empty`, in a turn of its own. A client may take for ever: close() then.
  void drain(std::function<void()> on_empty);
  void close();  // every connection, at once; what is open is told gone
  std::vector<mesh::Figure> figures() const override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace aorta::fronts
