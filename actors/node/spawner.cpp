// The agent's end: commands out, events in.
#include "actors/node/spawner.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "actors/node/spawner_messages.hpp"
#include "base/log.hpp"

namespace aorta::node {

Result<Spawner> Spawner::fork(const SpawnerOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{ErrorCode::io,
                 fmt::format("no socket pair for the spawner: {}", std::strerror(errno))};
  }
  const pid_t pid = ::fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return Error{ErrorCode::io, fmt::format("cannot fork the spawner: {}", std::strerror(errno))};
  }
  if (pid == 0) {
    close(ends[0]);
    run_spawner(ends[1], options);
  }
  close(ends[1]);
  return Spawner(ends[0], pid);
}

Spawner::Spawner(Spawner&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), pid_(std::exchange(other.pid_, -1)) {}

Spawner::~Spawner() {
  if (fd_ >= 0) close(fd_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

void Spawner::send(const std::string& message) {
  AORTA_CHECK(message.size() <= max_spawner_message, "a spawner command fits one datagram");
  ssize_t sent = 0;
  do {
    sent = ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) log::warning("the spawner cannot be reached", {{"reason", std::strerror(errno)}});
}

void Spawner::start(const SpawnCommand& command) {
  std::vector<std::string> words{"start", command.name, command.log_path};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  send(join_words(words));
}

void Spawner::signal(std::uint32_t pid, int signal) {
  send(join_words({"signal", std::to_string(pid), std::to_string(signal)}));
}

std::optional<SpawnEvent> Spawner::next_event() {
  char buffer[4096];
  ssize_t size = 0;
  do {
    size = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  if (size <= 0) return SpawnerGone{};
  const auto words = split_words({buffer, static_cast<std::size_t>(size)});
  if (words.size() == 3 && words[0] == "started") {
    return SpawnStarted{words[1], static_cast<std::uint32_t>(std::stoul(words[2]))};
  }
  AORTA_CHECK(words.size() == 5 && words[0] == "exited", "the spawner says started or exited");
  return SpawnExited{words[1], static_cast<std::uint32_t>(std::stoul(words[2])),
                     std::stoi(words[3]), words[4] == "1"};
}

}  // namespace aorta::node
