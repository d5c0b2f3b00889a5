#pragma once
// Who may connect under CURVE. libzmq asks the process at each handshake (ZAP, ZeroMQ's RFC 27) at
// a socket of a fixed name; here it is one on the loop, so an answer needs no thread.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "mesh/loop_socket.hpp"

namespace aorta::mesh {

class Zap {
 public:
  // Answers the user id of who holds that key, which then travels with each message; or why the
  // connection is refused.
  using Judge = std::function<Result<std::string>(const std::string& public_key)>;

  explicit Zap(WireLoop& loop);
  // Decides for the sockets of that ZAP domain; before they bind.
  void judge(const std::string& domain, Judge judge) { judges_[domain] = std::move(judge); }

 private:
  void answer(const Frames& request);
  Result<std::string> decide(const Frames& request) const;

  WireLoop& loop_;
  std::map<std::string, Judge> judges_;
  std::unique_ptr<LoopSocket> socket_;
};

}  // namespace aorta::mesh
