// The spawner's end: one thread that forks, execs, reaps, and leaves with its agent.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "actors/node/spawner.hpp"
#include "actors/node/spawner_messages.hpp"

namespace aorta::node {
namespace {

// How often the kernel killed for want of memory in our cgroup (version 2); 0 where it cannot say.
std::uint64_t count_oom_kills() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    std::ifstream events("/sys/fs/cgroup" + line.substr(3) + "/memory.events");
    std::string key;
    std::uint64_t value = 0;
    while (events >> key >> value) {
      if (key == "oom_kill") return value;
    }
  }
  return 0;
}

std::string own_program() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "/proc/self/exe";
}

class SpawnerProcess {
 public:
  SpawnerProcess(int fd, const SpawnerOptions& options)
      : fd_(fd),
        orphan_patience_(options.orphan_patience),
        program_(options.program.empty() ? own_program() : options.program) {
    // It leaves with its agent, not before: only so is every child's death told. Signals are
    // blocked, not ignored, so that one sent to a child that has not exec'd yet waits for it.
    sigset_t blocked, deaths;
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    blocked = deaths;
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&blocked, signal);
    sigprocmask(SIG_BLOCK, &blocked, &mask_of_children_);
    deaths_ = signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
    oom_kills_ = count_oom_kills();
  }

  void run() {
    while (turn(-1)) {
    }
    leave_with_children();
  }

 private:
  // Waits for commands and deaths; false when the agent is gone.
  bool turn(int timeout_ms) {
    pollfd polled[2] = {{fd_, POLLIN, 0}, {deaths_, POLLIN, 0}};
    if (poll(polled, 2, timeout_ms) < 0 && errno != EINTR) return false;
    if (polled[1].revents != 0) reap();
    return polled[0].revents == 0 || obey();
  }

  bool obey() {
    char buffer[max_spawner_message];
    const ssize_t size = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    const auto words = split_words({buffer, static_cast<std::size_t>(size)});
    if (words.size() >= 3 && words[0] == "start") {
      start(words);
    } else if (words.size() == 3 && words[0] == "signal") {
      const pid_t pid = std::stoi(words[1]);
      // Only our own: a pid that was reaped may be somebody else's by now.
      if (children_.contains(pid)) ::kill(pid, std::stoi(words[2]));
    }
    return true;
  }

  void start(const std::vector<std::string>& words) {
    const pid_t pid = ::fork();
    if (pid == 0) become(words);
    if (pid < 0) {
      tell({"exited", words[1], "0", std::to_string(W_EXITCODE(75, 0)), "0"});
      return;
    }
    children_[pid] = words[1];
    tell({"started", words[1], std::to_string(pid)});
  }

  // In the child: never returns.
  [[noreturn]] void become(const std::vector<std::string>& words) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != own_pid_) _exit(75);  // the spawner died before we asked
    sigprocmask(SIG_SETMASK, &mask_of_children_, nullptr);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    if (!words[2].empty()) {
      const int log = open(words[2].c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (log >= 0) dup2(log, STDERR_FILENO);
    }
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    std::string name = "aorta";
    std::vector<char*> arguments{name.data()};
    std::vector<std::string> rest(words.begin() + 3, words.end());
    for (std::string& argument : rest) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    execv(program_.c_str(), arguments.data());
    std::fprintf(stderr, "aorta: cannot run %s: %s\n", program_.c_str(), std::strerror(errno));
    _exit(75);
  }

  void reap() {
    signalfd_siginfo info;
    while (read(deaths_, &info, sizeof info) > 0) {
    }
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto child = children_.find(pid);
      if (child == children_.end()) continue;
      bool oom_kill = false;
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        const std::uint64_t kills = count_oom_kills();
        oom_kill = kills > oom_kills_;
        oom_kills_ = kills;
      }
      tell({"exited", child->second, std::to_string(pid), std::to_string(status),
            oom_kill ? "1" : "0"});
      children_.erase(child);
    }
  }

  void signal_all(int signal) {
    for (const auto& [pid, name] : children_) ::kill(pid, signal);
  }

  void leave_with_children() {
    close(fd_);
    fd_ = -1;
    signal_all(SIGTERM);
    const TimePoint deadline = now() + orphan_patience_;
    while (!children_.empty() && now() < deadline) {
      pollfd polled{deaths_, POLLIN, 0};
      poll(&polled, 1, static_cast<int>(to_ms(deadline - now())) + 1);
      reap();
    }
    signal_all(SIGKILL);
  }

  void tell(const std::vector<std::string>& words) {
    const std::string message = join_words(words);
    if (fd_ >= 0) [[maybe_unused]]
      auto sent = send(fd_, message.data(), message.size(), MSG_NOSIGNAL);
  }

  int fd_;
  int deaths_ = -1;
  pid_t own_pid_ = getpid();
  Duration orphan_patience_;
  std::string program_;
  sigset_t mask_of_children_{};
  std::uint64_t oom_kills_ = 0;
  std::map<pid_t, std::string> children_;
};

}  // namespace

void run_spawner(int fd, const SpawnerOptions& options) {
  setsid();  // the terminal's Ctrl-C is for the agent, which drains in order
  SpawnerProcess(fd, options).run();
  std::_Exit(0);
}

}  // namespace aorta::node
