#pragma once
// What one process has one of: the thread's Asio io_context and the ZeroMQ context. Sockets join
// it as LoopSockets; HTTP, timers and signals use io() directly.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace aorta::mesh {

struct WireLoopOptions {
  // Sentences about garbage frames and unreachable peers, at most a few a second.
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
  // Passes the sentence on unless there were many lately; counts the ones withheld.
  void trouble(const std::string& sentence);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aorta::mesh
