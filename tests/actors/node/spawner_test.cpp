// The spawner with real processes and real signals.
#include "actors/node/spawner.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "actors/node/death.hpp"

namespace aorta::node {
namespace {

class SpawnerTest : public ::testing::Test {
 protected:
  SpawnerTest() {
    char name[] = "/tmp/aorta-spawner-XXXXXX";
    folder = mkdtemp(name);
    auto forked = Spawner::fork({"/bin/sh", std::chrono::seconds(10)});
    if (forked.ok()) spawner.emplace(std::move(forked).value());
  }
  ~SpawnerTest() override {
    spawner.reset();
    std::filesystem::remove_all(folder);
  }

  std::string log() const { return folder + "/child.log"; }
  void start(const std::string& script) { spawner->start({"child", {"-c", script}, log()}); }

  // Blocks until something happened.
  SpawnEvent next() {
    for (;;) {
      if (auto event = spawner->next_event()) return *event;
      pollfd polled{spawner->fd(), POLLIN, 0};
      poll(&polled, 1, -1);
    }
  }
  std::uint32_t started() { return std::get<SpawnStarted>(next()).pid; }
  SpawnExited exited() { return std::get<SpawnExited>(next()); }

  std::string folder;
  std::optional<Spawner> spawner;
};

TEST_F(SpawnerTest, TellsOfStartAndExitCode) {
  ASSERT_TRUE(spawner.has_value());
  start("exit 7");
  const std::uint32_t pid = started();
  const SpawnExited exit = exited();
  EXPECT_EQ(exit.name, "child");
  EXPECT_EQ(exit.pid, pid);
  EXPECT_EQ(explain_death(exit.wait_status, exit.oom_kill).exit_code, 7);
}

TEST_F(SpawnerTest, TellsTheSignalThatKilled) {
  start("kill -SEGV $$");
  started();
  const SpawnExited exit = exited();
  const Death death = explain_death(exit.wait_status, exit.oom_kill);
  EXPECT_EQ(death.cause, "SIGSEGV");
  EXPECT_TRUE(death.counted);
}

TEST_F(SpawnerTest, SignalsOnlyItsOwnChildren) {
  start("read line < /dev/zero");
  const std::uint32_t pid = started();
  spawner->signal(static_cast<std::uint32_t>(getpid()), SIGKILL);  // not its child: we live on
  spawner->signal(pid, SIGTERM);
  const SpawnExited exit = exited();
  EXPECT_EQ(explain_death(exit.wait_status, false).cause, "SIGTERM");
}

TEST_F(SpawnerTest, StandardErrorGoesToTheLogAppended) {
  for (const char* script : {"echo one >&2", "echo two >&2"}) {
    start(script);
    started();
    exited();
  }
  std::ifstream file(log());
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "one\ntwo\n");
  EXPECT_EQ(std::filesystem::status(log()).permissions(), std::filesystem::perms(0600));
}

// As containers want it: whoever reads the agent's stderr reads the children's.
TEST_F(SpawnerTest, WithoutALogItWritesToOurStandardError) {
  ASSERT_TRUE(spawner.has_value());
  const std::string here = "/proc/" + std::to_string(getpid()) + "/fd/2";
  spawner->start({"child", {"-c", "test /proc/self/fd/2 -ef " + here}, ""});
  started();
  EXPECT_EQ(explain_death(exited().wait_status, false).exit_code, 0);
}

TEST_F(SpawnerTest, AgentGoneMeansChildrenAreToldToLeave) {
  // The child says in its log that it was told; ~Spawner waits until the spawner has left.
  start("trap 'echo told >&2; kill $!; exit 0' TERM; tail -f /dev/null & echo ready >&2; wait");
  started();
  while (std::filesystem::exists(log()) == false || std::filesystem::file_size(log()) == 0) {
    std::this_thread::yield();
  }
  spawner.reset();
  std::ifstream file(log());
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "ready\ntold\n");
}

TEST(Death, CountsOnlyCrashesOfItsOwn) {
  EXPECT_FALSE(explain_death(SIGKILL, false).counted);
  EXPECT_TRUE(explain_death(SIGKILL, true).counted);
  EXPECT_FALSE(explain_death(SIGTERM, false).counted);
  for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE}) {
    EXPECT_TRUE(explain_death(signal, false).counted) << signal;
  }
  EXPECT_FALSE(explain_death(W_EXITCODE(0, 0), false).counted);
  EXPECT_FALSE(explain_death(W_EXITCODE(78, 0), false).counted);
  EXPECT_FALSE(explain_death(W_EXITCODE(75, 0), false).counted);
  EXPECT_TRUE(explain_death(W_EXITCODE(70, 0), false).counted);
  EXPECT_EQ(explain_death(W_EXITCODE(70, 0), false).cause, "exit code 70");
}

}  // namespace
}  // namespace aorta::node
