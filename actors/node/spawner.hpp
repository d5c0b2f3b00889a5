#pragma once
// The only process that forks and execs. It is forked from the node agent before any thread or
// ZeroMQ context exists, so its children inherit neither, and is spoken to over a socket pair.
// When the agent is gone (end of file), its children get SIGTERM, and SIGKILL after a patience.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace aorta::node {

struct SpawnerOptions {
  std::string program;  // what children run; empty: this one
  Duration orphan_patience = std::chrono::seconds(10);
};

struct SpawnCommand {
  std::string name;
  std::vector<std::string> arguments;  // without the program
  // Its stderr, appended; empty: the spawner's own. Its stdout is the spawner's stderr.
  std::string log_path;
};

struct SpawnStarted {
  std::string name;
  std::uint32_t pid = 0;
};
struct SpawnExited {
  std::string name;
  std::uint32_t pid = 0;
  int wait_status = 0;
  bool oom_kill = false;  // the cgroup's count rose since the death before
};
struct SpawnerGone {};
using SpawnEvent = std::variant<SpawnStarted, SpawnExited, SpawnerGone>;

class Spawner {
 public:
  // Call before anything that starts a thread. Errors: io.
  static Result<Spawner> fork(const SpawnerOptions& options);
  Spawner(Spawner&& other) noexcept;
  ~Spawner();  // closes the socket: children that still run are told to leave

  void start(const SpawnCommand& command);
  void signal(std::uint32_t pid, int signal);
  int fd() const { return fd_; }
  // What has happened, without waiting; nullopt: nothing new.
  std::optional<SpawnEvent> next_event();

 private:
  Spawner(int fd, pid_t pid) : fd_(fd), pid_(pid) {}
  void send(const std::string& message);
  int fd_ = -1;
  pid_t pid_ = -1;
};

// The spawner's own main, on its end of the socket pair (spawner_process.cpp).
[[noreturn]] void run_spawner(int fd, const SpawnerOptions& options);

}  // namespace aorta::node
