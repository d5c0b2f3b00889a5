// Keys on disk: made once, private, changed whole; and what may listen beyond loopback with them.
#include "services/key_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "services/exposure.hpp"
#include "services/private_file.hpp"
#include "services/setup.hpp"
#include "tests/mesh/temp_dir.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;

class KeyFilesTest : public ::testing::Test {
 protected:
  KeyFilesTest() { config.mesh.state_folder = folder.file("state"); }
  Result<void> add_key(const std::string& key, const std::string& tenant) {
    return change_api_keys(api_keys_path(config), [&](auto& keys) -> Result<void> {
      keys.push_back(*mesh::make_entry(key, tenant, ""));
      return {};
    });
  }
  static unsigned mode_of(const std::string& path) {
    struct stat file {};
    return ::stat(path.c_str(), &file) == 0 ? file.st_mode & 0777 : 0;
  }

  TempDir folder;
  Config config;
};

TEST_F(KeyFilesTest, AMeshsKeysAreMadeOnceAndPrivate) {
  EXPECT_FALSE(load_mesh_keys(config, ServiceKind::cache)->has_value()) << "a mesh without keys";
  ASSERT_TRUE(init_mesh_keys(keys_folder(config), false).ok());
  EXPECT_EQ(mode_of(keys_folder(config)), 0700u);
  EXPECT_EQ(mode_of(keys_folder(config) + "/executor.secret"), 0600u);
  const auto before = load_mesh_keys(config, ServiceKind::executor);
  ASSERT_TRUE(before.ok() && before->has_value());
  EXPECT_EQ((*before)->role_of((*before)->own.public_key), ServiceKind::executor);
  EXPECT_EQ(load_clients_pair(config)->public_key, *load_clients_public(config));

  const auto again = init_mesh_keys(keys_folder(config), false);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_EQ((*load_mesh_keys(config, ServiceKind::executor))->own.secret_key,
            (*before)->own.secret_key);
  ASSERT_TRUE(init_mesh_keys(keys_folder(config), true).ok());
  EXPECT_NE((*load_mesh_keys(config, ServiceKind::executor))->own.secret_key,
            (*before)->own.secret_key);
}

TEST_F(KeyFilesTest, AServiceNeedsOnlyItsOwnSecret) {
  ASSERT_TRUE(init_mesh_keys(keys_folder(config), false).ok());
  std::filesystem::remove(keys_folder(config) + "/admission.secret");
  EXPECT_TRUE(load_mesh_keys(config, ServiceKind::executor).ok());
  const auto missing = load_mesh_keys(config, ServiceKind::admission);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("admission.secret"), std::string::npos);
}

TEST_F(KeyFilesTest, AFolderOfKeysThatIsNamedMustBeThere) {
  config.security.keys_folder = folder.file("nowhere");
  const auto missing = load_mesh_keys(config, ServiceKind::executor);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("aorta keys init --dir"), std::string::npos);
}

TEST_F(KeyFilesTest, ClientsNeedAKeyFromTheFirstOneOn) {
  EXPECT_FALSE(load_api_keys(config)->required());
  ASSERT_TRUE(add_key("sk-1", "acme").ok());
  EXPECT_EQ(mode_of(api_keys_path(config)), 0600u);
  EXPECT_EQ(load_api_keys(config)->tenant_of("sk-1"), "acme");
  config.security.api_keys = "off";
  EXPECT_FALSE(load_api_keys(config)->required());
}

TEST_F(KeyFilesTest, WhoReadsTheStateFolderHasAKey) {
  EXPECT_EQ(local_key(config), "") << "none is needed";
  config.security.api_keys = "required";
  ASSERT_TRUE(make_private_folder(state_folder(config)).ok());
  const auto keys = load_api_keys(config);
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(keys->tenant_of(local_key(config)), mesh::default_tenant);
  EXPECT_EQ(mode_of(state_folder(config) + "/local.key"), 0600u);
  const std::string first = local_key(config);
  ASSERT_TRUE(load_api_keys(config).ok());
  EXPECT_EQ(local_key(config), first);
}

TEST_F(KeyFilesTest, AMissingOrBrokenFileNeverOpensTheMesh) {
  config.security.api_keys_file = folder.file("typo");
  EXPECT_EQ(load_api_keys(config).error().code, ErrorCode::not_found);
  ASSERT_TRUE(write_private_file(folder.file("typo"), "nonsense").ok());
  EXPECT_EQ(load_api_keys(config).error().code, ErrorCode::corrupt);
  EXPECT_FALSE(add_key("sk-1", "acme").ok()) << "what cannot be read is not written over";
  EXPECT_EQ(*read_file(folder.file("typo")), "nonsense");
}

TEST_F(KeyFilesTest, BeyondLoopbackWantsKeys) {
  const std::array admission{ServiceKind::admission}, executor{ServiceKind::executor};
  EXPECT_TRUE(check_exposure(config).ok());
  config.http.bind = "0.0.0.0";
  const auto bare = check_exposure(config, admission);
  ASSERT_FALSE(bare.ok());
  for (const char* word : {"http.bind", "aorta keys add", "--insecure"}) {
    EXPECT_NE(bare.error().message.find(word), std::string::npos) << bare.error().message;
  }
  EXPECT_TRUE(check_exposure(config, executor).ok()) << "it has no such front";
  ASSERT_TRUE(add_key("sk-1", "acme").ok());
  EXPECT_TRUE(check_exposure(config, admission).ok());
  config.security.api_keys = "off";
  EXPECT_FALSE(check_exposure(config, admission).ok());
  config.mesh.insecure = true;
  EXPECT_TRUE(check_exposure(config, admission).ok());
}

TEST_F(KeyFilesTest, AMeshBeyondLoopbackWantsItsKeys) {
  config.mesh.bind = "10.0.0.1";
  const std::array executor{ServiceKind::executor};
  const auto bare = check_exposure(config, executor);
  ASSERT_FALSE(bare.ok());
  EXPECT_NE(bare.error().message.find("aorta keys init"), std::string::npos);
  ASSERT_TRUE(init_mesh_keys(keys_folder(config), false).ok());
  EXPECT_TRUE(check_exposure(config, executor).ok());
}

}  // namespace
}  // namespace aorta::services
