// Admission among its neighbours: beats, restarts, reports, the audit, draining.
#include "actors/admission/admission.hpp"

#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1);

TEST(Admission, DialsSchedulerAndMonitor) {
  Harness h;
  mesh::Outbox out;
  Admission core({.self = {"admission", Incarnation{1}}},
                 {.scheduler_address = "a", .monitor_address = "b"}, {});
  core.start(h.now, out);
  ASSERT_EQ(out.dials.size(), 2u);
  EXPECT_EQ(out.dials[0].name, "scheduler");
  EXPECT_EQ(out.dials[1].address, "b");
}

TEST(Admission, BeatsItsOpenRequestsAndNoOthers) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  h.run(2, e1);
  h.run(3, e1);
  h.tokens(e1, key(3), 0, "", Finish::stop);
  h.clear();
  h.advance(1000);
  const auto beats = h.sent<mesh::AdmissionBeat>();
  EXPECT_EQ(beats.size(), 10u);
  const auto& open = beats.back().second.open;
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[0].key, key(1));
  EXPECT_TRUE(open[0].executor.name.empty());
  EXPECT_EQ(open[1].executor, e1);
  EXPECT_EQ(open[1].prompt_tokens, 3u);
}

TEST(Admission, ARestartedSchedulerLearnsAllAtOnceAndStreamsGoOn) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab");
  h.clear();
  h.from_scheduler(mesh::Welcome{1, {"scheduler", Incarnation{2}}});
  ASSERT_EQ(h.sent<mesh::AdmissionBeat>().size(), 1u);
  EXPECT_EQ(h.last<mesh::AdmissionBeat>().open.at(0).executor, e1);
  h.from_scheduler(mesh::Membership{5, {}});
  h.from_scheduler(mesh::Membership{1, {}});
  EXPECT_EQ(h.sent<mesh::AdmissionBeat>().size(), 2u);
  h.tokens(e1, key(1), 2, "c", Finish::stop);
  EXPECT_EQ(h.ending(1), "stop");
  EXPECT_EQ(h.text(1), "c");
}

TEST(Admission, NobodyElseSpeaksForTheScheduler) {
  Harness h;
  h.generate(1, h.ask(1));
  h.join({"executor-7", Incarnation{1}});
  h.core.receive({"executor-7", Incarnation{1}}, mesh::Lost{key(1)}, h.now, h.out);
  h.core.receive({"scheduler", Incarnation{66}}, mesh::Lost{key(1)}, h.now, h.out);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);
}

TEST(Admission, IsReadyWhenAnExecutorIs) {
  Harness h;
  EXPECT_TRUE(h.core.readiness(h.now).ready);
  EXPECT_EQ(h.core.readiness(h.now).models, std::vector<std::string>{"fake"});
  h.figures.executors_ready = 0;
  h.beat();
  EXPECT_FALSE(h.core.readiness(h.now).ready);
  h.figures.executors_ready = 1;
  h.beat();
  h.scheduler_beats = false;
  h.advance(1001);
  EXPECT_FALSE(h.core.readiness(h.now).ready);
  EXPECT_FALSE(h.core.readiness(h.now).reason.empty());
}

TEST(Admission, ReportsEachSecond) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab", Finish::stop);
  h.advance(10);
  h.clear();
  h.advance(3000);
  const auto reports = h.sent<mesh::Report>();
  EXPECT_EQ(reports.size(), 3u);
  double accepted = 0, tokens = 0, first = 0;
  for (const auto& figure : reports.back().second.figures) {
    if (figure.name == "aorta_requests_accepted_total") accepted = figure.value;
    if (figure.name == "aorta_tokens_generated_total") tokens = figure.value;
    if (figure.name == "aorta_time_to_first_token_seconds_count" &&
        figure.labels == "tier=\"high\"") {
      first = figure.value;
    }
  }
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(tokens, 3);
  EXPECT_EQ(first, 1);
}

TEST(Admission, TheAuditTellsEachEpoch) {
  Harness h;
  h.join(e1);
  h.core.receive({"monitor", {}}, mesh::Welcome{1, {"monitor", Incarnation{1}}}, h.now, h.out);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab");
  h.lose(1, 1);
  h.place(1, e1, 2);
  h.tokens(e1, key(1, 2), 2, "c", Finish::stop);
  h.core.receive({"monitor", {}}, mesh::AuditRequest{42}, h.now, h.out);
  const auto reply = h.last<mesh::AuditReply>();
  EXPECT_EQ(reply.token, 42u);
  EXPECT_NE(reply.json.find("\"balanced\":true"), std::string::npos) << reply.json;
  EXPECT_NE(
      reply.json.find(
          R"({"epoch":1,"executor":"executor-1","first_index":0,"cached_tokens":0,"lost":"dead"})"),
      std::string::npos)
      << reply.json;
  EXPECT_NE(
      reply.json.find(R"({"epoch":2,"executor":"executor-1","first_index":2,"cached_tokens":0})"),
      std::string::npos)
      << reply.json;
}

TEST(Admission, DrainingLetsOpenRequestsFinish) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.drain(h.now, h.out);
  h.generate(2, h.ask(2));
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "draining");
  EXPECT_GE(h.events<Rejected>(2)[0].retry_after_ms, 1000u);
  EXPECT_FALSE(h.core.readiness(h.now).ready);
  h.advance(5000);
  EXPECT_FALSE(h.out.leave);
  h.tokens(e1, key(1), 0, "ab", Finish::stop);
  EXPECT_EQ(h.ending(1), "stop");
  ASSERT_TRUE(h.out.leave);
  EXPECT_EQ(h.out.leave->exit_code, 0);
  EXPECT_TRUE(h.last<mesh::Ack>().items.at(0).complete) << "the executor must not wait for it";
  EXPECT_FALSE(h.sent<mesh::Goodbye>().empty());
  EXPECT_EQ(h.core.next_tick(), never);
}

TEST(Admission, DrainingEndsInTimeAndFailsTheRest) {
  Harness h({.drain_ms = 3000});
  h.join(e1);
  h.run(1, e1);
  auto parked = h.ask(2);
  parked.on_disconnect = OnDisconnect::park;
  h.generate(2, parked);
  h.gone(2);
  h.core.drain(h.now, h.out);
  h.resume(3, 2, 0);
  EXPECT_EQ(h.events<Rejected>(3).at(0).code, "draining");
  h.advance(2999);
  EXPECT_FALSE(h.out.leave);
  h.advance(1);
  ASSERT_TRUE(h.out.leave);
  EXPECT_EQ(h.ending(1), "shutting_down");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_TRUE(h.balanced());
}

TEST(Admission, AnIdleOneDrainsAtOnceAndRefusesTheHeld) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, h.ask(1));
  h.core.drain(h.now, h.out);
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "draining");
  EXPECT_TRUE(h.out.leave);
}

TEST(Admission, LeavesWhenSuperseded) {
  Harness h;
  h.generate(1, h.ask(1));
  h.from_scheduler(mesh::Superseded{{"admission", Incarnation{10}}});
  ASSERT_TRUE(h.out.leave);
  EXPECT_EQ(h.out.leave->exit_code, 78);
  EXPECT_EQ(h.ending(1), "shutting_down");
}

}  // namespace
}  // namespace aorta::admission
