// Services under keys, on real sockets: who comes in, as what, and who never does.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "mesh/routing_id.hpp"
#include "mesh/wire.hpp"
#include "mesh/zmq_zap.hpp"

namespace aorta::mesh {
namespace {

struct AllKeys {
  AllKeys() {
    for (const ServiceKind role : all_roles) {
      pairs[role] = draw_curve_pair();
      publics[role] = pairs[role].public_key;
    }
  }
  std::shared_ptr<const MeshKeys> of(ServiceKind role) const {
    return std::make_shared<MeshKeys>(MeshKeys{role, pairs.at(role), publics});
  }
  std::map<ServiceKind, CurvePair> pairs;
  PublicKeys publics;
};

struct Station {
  Station(WireLoop& loop, const std::string& name, std::shared_ptr<const MeshKeys> keys)
      : wire(loop, {name, Incarnation{7}}, {.keys = std::move(keys)},
             [this](std::vector<Wire::Incoming> batch) {
               for (auto& incoming : batch) heard.push_back(std::move(incoming));
             }) {}
  std::vector<Wire::Incoming> heard;
  Wire wire;
};

class CurveTest : public ::testing::Test {
 protected:
  template <class Done>
  void run_until(Done done) {
    while (!done()) loop.io().run_one();
  }
  void dial_and_speak(Station& station) {
    ASSERT_TRUE(station.wire.dial("admission", bound).ok());
    station.wire.send({"admission", {}}, Goodbye{});
  }

  AllKeys keys;
  WireLoop loop{{.on_trouble = [this](const std::string& sentence) { troubles += sentence; }}};
  std::string troubles;
  Station admission{loop, "admission", keys.of(ServiceKind::admission)};
  std::string bound = *admission.wire.bind("tcp://127.0.0.1:0");
};

TEST_F(CurveTest, AMemberComesInAsWhatItsKeyProves) {
  Station executor(loop, "executor-1", keys.of(ServiceKind::executor));
  dial_and_speak(executor);
  run_until([&] { return !admission.heard.empty(); });
  EXPECT_EQ(admission.heard[0].from.name, "executor-1");
  EXPECT_EQ(admission.heard[0].from.role, ServiceKind::executor);
  EXPECT_EQ(admission.wire.send(admission.heard[0].from, Who{}), SendResult::sent);
  run_until([&] { return !executor.heard.empty(); });
  EXPECT_EQ(executor.heard[0].from.role, std::nullopt)
      << "whom we dialled has the key we asked for";
}

// libzmq forgets the sender's key on the routing id of a message that it was asked about before.
TEST_F(CurveTest, EachOfManyMessagesProvesItsSender) {
  Station executor(loop, "executor-1", keys.of(ServiceKind::executor));
  dial_and_speak(executor);
  constexpr std::size_t rounds = 300;
  const auto came = [&] { return admission.heard.size() + admission.wire.counts().garbage; };
  for (std::size_t round = 1; round <= rounds; ++round) {
    run_until([&] { return came() >= round; });
    executor.wire.send({"admission", {}}, Goodbye{});
    admission.wire.send({"executor-1", Incarnation{7}}, Who{});  // asks whether there is more
  }
  EXPECT_EQ(admission.wire.counts().garbage, 0u) << troubles;
}

TEST_F(CurveTest, AnUnknownKeyIsRefusedInTheHandshake) {
  AllKeys mine = keys;
  mine.pairs[ServiceKind::executor] = draw_curve_pair();
  Station stranger(loop, "executor-1", mine.of(ServiceKind::executor));
  dial_and_speak(stranger);
  run_until([&] { return loop.refusals().contains("unknown_key"); });
  EXPECT_TRUE(admission.heard.empty());
  EXPECT_NE(troubles.find("none of this mesh's"), std::string::npos) << troubles;
}

TEST_F(CurveTest, ARoleWithoutBusinessIsRefusedInTheHandshake) {
  Station tool(loop, "tool-1", keys.of(ServiceKind::tool));
  dial_and_speak(tool);
  run_until([&] { return loop.refusals().contains("wrong_role"); });
  EXPECT_TRUE(admission.heard.empty());
}

// A binder with another key never gets to hear what was for the one that was dialled.
TEST_F(CurveTest, AnImpostorIsToldNothing) {
  AllKeys others;
  others.publics[ServiceKind::executor] = keys.publics[ServiceKind::executor];
  Station impostor(loop, "admission", others.of(ServiceKind::admission));
  Station executor(loop, "executor-1", keys.of(ServiceKind::executor));
  ASSERT_TRUE(executor.wire.dial("admission", *impostor.wire.bind("tcp://127.0.0.1:0")).ok());
  executor.wire.send({"admission", {}}, Goodbye{});
  Station honest(loop, "executor-2", keys.of(ServiceKind::executor));
  dial_and_speak(honest);
  run_until([&] { return !admission.heard.empty(); });
  EXPECT_TRUE(impostor.heard.empty());
}

TEST_F(CurveTest, PlainAndCurveDoNotMix) {
  Station plain(loop, "executor-1", nullptr), plain_binder(loop, "admission", nullptr);
  dial_and_speak(plain);
  Station executor(loop, "executor-2", keys.of(ServiceKind::executor));
  ASSERT_TRUE(executor.wire.dial("admission", *plain_binder.wire.bind("tcp://127.0.0.1:0")).ok());
  executor.wire.send({"admission", {}}, Goodbye{});
  Station honest(loop, "executor-3", keys.of(ServiceKind::executor));
  dial_and_speak(honest);
  run_until([&] { return !admission.heard.empty(); });
  EXPECT_EQ(admission.heard.size(), 1u);
  EXPECT_EQ(admission.heard[0].from.name, "executor-3");
  EXPECT_TRUE(plain_binder.heard.empty());
}

TEST(MayDial, NobodyMeetsWhomItHasNoBusinessWith) {
  using enum ServiceKind;
  EXPECT_TRUE(may_dial(executor, admission));
  EXPECT_TRUE(may_dial(executor, cache));
  for (const ServiceKind role : {ServiceKind::admission, scheduler, cache, monitor, node, tool}) {
    EXPECT_FALSE(may_dial(role, ServiceKind::admission)) << name_of(role);
  }
  for (const ServiceKind role : all_roles) {
    EXPECT_TRUE(may_dial(role, monitor));
    EXPECT_EQ(may_dial(role, scheduler), role != tool);
    EXPECT_FALSE(may_dial(role, executor)) << "it listens nowhere";
  }
}

}  // namespace
}  // namespace aorta::mesh
