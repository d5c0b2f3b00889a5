#pragma once
// A shell's state, which its actor shares. Inside the shell only: it brings CAF and Asio.
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "actors/host_impl.hpp"

namespace aorta::actors {

// What one socket had to say in one turn of the loop.
struct Batch {
  std::vector<mesh::Wire::Incoming> messages;
};
struct PostedTurn {
  Shell::Turn turn;
};

}  // namespace aorta::actors

// They travel within the process only.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(aorta::actors::Batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(aorta::actors::PostedTurn)

namespace aorta::actors {

using tick_atom = caf::atom_constant<caf::atom("tick")>;
using ServiceActor =
    caf::typed_actor<caf::reacts_to<Batch>, caf::reacts_to<PostedTurn>, caf::reacts_to<tick_atom>>;

struct Shell::Impl : std::enable_shared_from_this<Shell::Impl> {
  Impl(Shell& shell, Host::Impl& host, std::unique_ptr<mesh::Service> core);

  void bind(const std::vector<std::string>& endpoints);
  void spawn();
  void close();  // the shell is being destroyed

  void post(Turn turn);
  void post_drain();
  // One turn: `body` on the core, then all that it asked for.
  void run(const Turn& body);
  void receive(const Batch& batch);
  void tick();

  void flush(TimePoint at, mesh::Outbox& out);
  // Answers the peers that nobody answers for.
  std::vector<mesh::PeerId> carry_out(const mesh::Outbox& out);
  void arm_timer();

  const std::string name;
  Shell* shell;  // null once it is gone
  Host::Impl& host;
  std::unique_ptr<mesh::Service> core;  // as the wire, null once the shell is gone
  std::unique_ptr<mesh::Wire> wire;
  std::vector<std::string> bound;
  boost::asio::steady_timer timer;
  TimePoint armed = never;
  ServiceActor actor;
  bool in_turn = false;
  bool left = false;
};

}  // namespace aorta::actors
