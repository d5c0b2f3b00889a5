#pragma once
// What Host and Shell share. Inside the shell only: it brings CAF and Asio.
#include "actors/loop_actor.hpp"
#include "actors/shell.hpp"

namespace aorta::actors {

struct Host::Impl {
  explicit Impl(const HostOptions& options);
  ~Impl();

  void left(int exit_code);  // a shell's service has left
  void stop(int exit_code);  // on the loop's thread
  void drain_all();
  std::vector<mesh::Figure> refusals() const;
  void take(int new_exit_code) { exit_code = exit_code == 0 ? new_exit_code : exit_code; }

  HostOptions options;
  std::shared_ptr<const mesh::MeshKeys> keys;
  mesh::WireLoop loop;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<LoopUnit> unit;
  std::vector<Shell::Impl*> shells;  // alive
  std::size_t running = 0;           // of them, not left
  bool draining = false;
  int exit_code = 0;

  struct Signals;
  std::unique_ptr<Signals> signals;
};

}  // namespace aorta::actors
