#pragma once
// Runs a core on sockets: a CAF actor on the loop's own thread takes batches of messages, ticks and
// turns posted from other threads, hands them to the core, and flushes what it wants done.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "mesh/service.hpp"
#include "mesh/wire.hpp"
#include "mesh/wire_loop.hpp"

namespace aorta::actors {

struct HostOptions {
  std::uint32_t max_message_bytes = 16u << 20;
  std::uint32_t send_queue_messages = 10000;  // per peer; beyond it messages are dropped, counted
};

inline constexpr int exit_bug = 70;
inline constexpr int exit_interrupted = 130;

// What one process has one of: the loop, the actor system, the ZeroMQ context, the exit code.
class Host {
 public:
  struct Impl;  // actors/host_impl.hpp
  explicit Host(const HostOptions& options);
  ~Host();  // after its shells
  Host(const Host&) = delete;

  boost::asio::io_context& io();
  mesh::WireLoop& loop();  // for sockets that are not a service's own: the clients' front
  // Runs on the calling thread until every shell has left or stop(); returns the exit code: the
  // first non-zero one that a service left with, else 0. One that leaves in trouble takes the rest
  // along: they are drained. An exception from a handler ends it at once with exit_bug.
  int run();
  void stop(int exit_code);  // any thread
  // SIGTERM and SIGINT: drains every shell; a second SIGINT leaves at once with 130. SIGHUP calls
  // the hook.
  void handle_signals(std::function<void()> on_hup);
  // By which this process's services meet others over TCP. Before the first shell.
  void use_keys(std::shared_ptr<const mesh::MeshKeys> keys);
  // Peers and messages that the wire has refused, by reason; every Report has them too.
  std::vector<mesh::Figure> refusals() const;

 private:
  friend class Shell;
  std::unique_ptr<Impl> impl_;
};

class Shell {
 public:
  struct Impl;  // actors/shell_impl.hpp
  // `binds`: endpoints of the service's ROUTERs (ipc://, tcp://, inproc://). Throws
  // std::runtime_error with a sentence when an endpoint cannot be bound.
  Shell(Host& host, std::unique_ptr<mesh::Service> core, const std::vector<std::string>& binds);
  virtual ~Shell();

  // Any thread: runs `turn` in the actor's turn on the loop, then flushes the outbox.
  using Turn = std::function<void(TimePoint now, mesh::Outbox& out)>;
  void post(Turn turn);
  // On the loop's thread only, and not from within a turn: the same, at once.
  void run_turn(const Turn& turn);
  void begin();  // core.start(); after the subclass is whole
  mesh::Service& core();
  const std::vector<std::string>& bound() const;  // the binds, with the ports that were free
  const mesh::Wire::Counts& wire_counts() const;

 protected:
  // After every turn, on the loop's thread: outputs of this kind of service (engine commands,
  // client events). Must not block.
  virtual void after_turn(TimePoint now);
  // The core asked to leave, once; nothing reaches it any more. Default: tells the host.
  virtual void leave(const mesh::Outbox::Leave& leave);

 private:
  std::shared_ptr<Impl> impl_;  // the actor's too: it may outlive the shell by a turn
};

}  // namespace aorta::actors
