#include "mesh/endpoint.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/mesh/temp_dir.hpp"

namespace aorta::mesh {
namespace {

TEST(Endpoint, IsCheckedBeforeUse) {
  for (const char* good : {"ipc:///run/a.sock", "tcp://127.0.0.1:0", "tcp://host:8083",
                           "tcp://0.0.0.0:*", "tcp://[::1]:80", "inproc://aorta/scheduler"}) {
    EXPECT_TRUE(check_endpoint(good).ok()) << good;
  }
  for (const char* bad : {"", "ipc://", "inproc://", "http://x:1", "tcp://1.2.3.4", "tcp://:80",
                          "tcp://h:65536", "tcp://h:", "tcp://h:8o", "/run/a.sock"}) {
    auto checked = check_endpoint(bad);
    ASSERT_FALSE(checked.ok()) << bad;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(check_endpoint("ipc://" + std::string(107, 'x')).ok());
  auto longer = check_endpoint("ipc://" + std::string(108, 'x'));
  ASSERT_FALSE(longer.ok());
  EXPECT_NE(longer.error().message.find("XDG_STATE_HOME"), std::string::npos);
}

TEST(IpcListener, IsPrivateAndRemovesItsFile) {
  TempDir dir;
  const std::string path = dir.file("s.sock");
  {
    auto listener = IpcListener::open(path);
    ASSERT_TRUE(listener.ok()) << listener.error().message;
    struct stat file {};
    ASSERT_EQ(::stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0600u);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(IpcListener, ALivingListenerIsAConflictAndADeadOnesFileIsReplaced) {
  TempDir dir;
  const std::string path = dir.file("s.sock");
  auto first = IpcListener::open(path);
  ASSERT_TRUE(first.ok());
  auto second = IpcListener::open(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
  ::close(first->fd());  // as when its process is killed: the file stays
  first->release_fd();
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  {
    auto third = IpcListener::open(path);
    ASSERT_TRUE(third.ok()) << third.error().message;
    {
      IpcListener dying = std::move(*first);  // not its file any more
    }
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  }
}

TEST(IpcListener, TakesNoOtherFilesPlace) {
  TempDir dir;
  std::ofstream(dir.file("notes.txt")) << "precious";
  auto listener = IpcListener::open(dir.file("notes.txt"));
  ASSERT_FALSE(listener.ok());
  EXPECT_EQ(::access(dir.file("notes.txt").c_str(), F_OK), 0);
  auto nowhere = IpcListener::open(dir.file("missing/s.sock"));
  ASSERT_FALSE(nowhere.ok());
  EXPECT_NE(nowhere.error().message.find("folder does not exist"), std::string::npos);
}

}  // namespace
}  // namespace aorta::mesh
