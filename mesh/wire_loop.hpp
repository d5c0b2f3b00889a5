#pragma once
// What one process has one of: the thread's Asio io_context and the ZeroMQ context. Sockets join
// it as LoopSockets; HTTP, timers and signals use io() directly.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace aorta::mesh {

class Zap;

struct WireLoopOptions {
  // Takes the sentences that trouble() lets through; empty: they are logged as warnings.
  std::function<void(const std::string&)> on_trouble;
};

class WireLoop {
 public:
  explicit WireLoop(WireLoopOptions options = {});
  // Every LoopSocket must be gone. Waits for their linger, so that last words arrive.
  ~WireLoop();
  WireLoop(const WireLoop&) = delete;

  boost::asio::io_context& io();
  void* zmq_context();  // libzmq's handle: for the wire only
  // What strangers and networks do wrong: the first five of ten seconds are passed on, the rest
  // counted.
  void trouble(const std::string& sentence);
  // Trouble that somebody's keys or the want of them made; counted by reason.
  void refuse(const std::string& reason, const std::string& sentence);
  const std::map<std::string, std::uint64_t>& refusals() const;
  Zap& zap();  // made when it is first asked for

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aorta::mesh
