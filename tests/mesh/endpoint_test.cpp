#include "mesh/endpoint.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <memory>

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

TEST(IpcListener, ALivingListenerIsAConflict) {
  TempDir dir;
  auto first = IpcListener::open(dir.file("s.sock"));
  ASSERT_TRUE(first.ok());
  auto second = IpcListener::open(dir.file("s.sock"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos);
}

TEST(IpcListener, ADeadListenersFileIsReplaced) {
  TempDir dir;
  const std::string path = dir.file("s.sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path);
  const int killed = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(killed, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(killed);
  ASSERT_EQ(::access(path.c_str(), F_OK), 0);
  auto listener = IpcListener::open(path);
  EXPECT_TRUE(listener.ok()) << listener.error().message;
}

TEST(IpcListener, ASuccessorsFileIsLeftAlone) {
  TempDir dir;
  const std::string path = dir.file("s.sock");
  auto first = std::make_unique<Result<IpcListener>>(IpcListener::open(path));
  ASSERT_TRUE(first->ok());
  ::unlink(path.c_str());
  auto successor = IpcListener::open(path);
  ASSERT_TRUE(successor.ok());
  first.reset();
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
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
