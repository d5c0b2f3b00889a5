// A mesh's CURVE keys in their files, and who is who by them.
#include "mesh/mesh_keys.hpp"

#include <gtest/gtest.h>

namespace aorta::mesh {
namespace {

struct Drawn {
  Drawn() {
    for (const ServiceKind role : all_roles) {
      pairs[role] = draw_curve_pair();
      publics[role] = pairs[role].public_key;
    }
  }
  std::map<ServiceKind, CurvePair> pairs;
  PublicKeys publics;
};

TEST(MeshKeys, FilesAreReadAsTheyWereWritten) {
  const Drawn drawn;
  const auto publics = parse_public_keys(format_public_keys(drawn.publics), "mesh.public");
  ASSERT_TRUE(publics.ok());
  EXPECT_EQ(*publics, drawn.publics);
  const CurvePair& own = drawn.pairs.at(ServiceKind::executor);
  const auto pair =
      parse_secret_key(format_secret_key("executor", own.secret_key), "executor", "s");
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ(pair->public_key, own.public_key) << "it follows from the secret";
  const auto keys = make_mesh_keys(ServiceKind::executor, *pair, *publics);
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(keys->role_of(own.public_key), ServiceKind::executor);
  EXPECT_EQ(keys->role_of(drawn.publics.at(ServiceKind::tool)), ServiceKind::tool);
  EXPECT_EQ(keys->role_of(draw_curve_pair().public_key), std::nullopt);
}

TEST(MeshKeys, ASecretOfAnotherMeshOrRoleIsNoticed) {
  const Drawn mine, theirs;
  EXPECT_FALSE(
      make_mesh_keys(ServiceKind::executor, theirs.pairs.at(ServiceKind::executor), mine.publics)
          .ok());
  const std::string tool = format_secret_key("tool", mine.pairs.at(ServiceKind::tool).secret_key);
  EXPECT_FALSE(parse_secret_key(tool, "executor", "executor.secret").ok());
}

TEST(MeshKeys, BrokenFilesAreNamed) {
  const Drawn drawn;
  std::string text = format_public_keys(drawn.publics);
  for (const std::string& broken :
       {std::string(), std::string("aorta mesh keys 2\n"), text.substr(0, text.size() - 60),
        text.substr(0, text.size() - 3)}) {
    const auto parsed = parse_public_keys(broken, "mesh.public");
    ASSERT_FALSE(parsed.ok()) << broken;
    EXPECT_NE(parsed.error().message.find("mesh.public"), std::string::npos);
  }
  EXPECT_TRUE(parse_public_keys(text + "router 0000\n", "mesh.public").ok())
      << "a later version has more roles";
}

TEST(CurveKeys, BytesOfAHandshakeAreTheKeysText) {
  EXPECT_EQ(curve_key_of("too short"), "");
  EXPECT_TRUE(is_curve_key(curve_key_of(std::string(32, 'x'))));
  EXPECT_FALSE(is_curve_key("x"));
  EXPECT_FALSE(is_curve_key(std::string(40, '\x01')));
}

}  // namespace
}  // namespace aorta::mesh
