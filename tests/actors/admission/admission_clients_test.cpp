// What clients ask and are told: accepting, cancelling, leaving, resuming, repeating, being slow.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1);

TEST(AdmissionClients, AcceptsAndAnswers) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  const auto accepted = h.events<Accepted>(1);
  ASSERT_EQ(accepted.size(), 1u);
  EXPECT_EQ(accepted[0].request, request_id(1));
  EXPECT_EQ(accepted[0].model, "fake");
  EXPECT_EQ(accepted[0].seed, 7u);
  h.place(1, e1);
  h.tokens(e1, key(1), 0, "hel");
  h.tokens(e1, key(1), 3, "lo", Finish::stop);
  EXPECT_EQ(h.text(1), "hello");
  ASSERT_EQ(h.ending(1), "stop");
  const auto done = h.events<Done>(1)[0];
  EXPECT_EQ(done.usage.prompt_tokens, 3u);
  EXPECT_EQ(done.usage.completion_tokens, 6u);
  EXPECT_EQ(done.epochs, 1u);
  EXPECT_TRUE(done.same_numerics);
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 1u);
  EXPECT_EQ(h.last<mesh::Closed>().generated_tokens, 6u);  // the tenant's bill
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, RefusesAnUnknownModelAndAUsedId) {
  Harness h;
  auto ask = h.ask(1);
  ask.model = "gpt-5";
  h.generate(1, ask);
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "model_not_found");
  EXPECT_EQ(h.events<Rejected>(1).at(0).status, 404);
  h.generate(2, h.ask(2));
  h.generate(3, h.ask(2));
  EXPECT_EQ(h.events<Rejected>(3).at(0).status, 409);
}

TEST(AdmissionClients, CancelEndsItInEachState) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  h.cancel(1, 1);  // queued
  EXPECT_EQ(h.ending(1), "cancelled");
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
  h.run(2, e1);
  h.cancel(2, 2);  // started
  EXPECT_EQ(h.ending(2), "cancelled");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(2));
  h.run(3, executor(9));
  h.cancel(3, 3);  // placed, its executor not here
  EXPECT_EQ(h.ending(3), "cancelled");
  EXPECT_EQ(h.sent<mesh::Stop>().size(), 1u);
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 3u);
  h.cancel(4, 3);  // ended: whoever asks is answered, nothing changes
  EXPECT_EQ(h.ending(4), "cancelled");
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 3u);
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, AnotherTenantFindsNothing) {
  Harness h;
  h.generate(1, h.ask(1));
  h.core.cancel(connection(2), "other", request_id(1), h.now, h.out);
  h.core.resume(connection(2), "other", request_id(1), {TokenIndex{0}}, h.now, h.out);
  ASSERT_EQ(h.events<Rejected>(2).size(), 2u);
  EXPECT_EQ(h.events<Rejected>(2)[0].status, 404);
  EXPECT_TRUE(h.core.request_json("other", request_id(1)).empty());
  EXPECT_FALSE(h.core.request_json("default", request_id(1)).empty());
  EXPECT_EQ(h.ending(1), "");
}

TEST(AdmissionClients, ACancelledClientGetsNothingMore) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.cancel(1, 1);
  h.clear();
  h.tokens(e1, key(1), 5, " world");
  h.collect();
  EXPECT_TRUE(h.told.empty());
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
}

TEST(AdmissionClients, AClientThatLeavesStopsItsRequest) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.gone(1);
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 1u);
  EXPECT_NE(h.core.audit().find("\"cancelled\":1"), std::string::npos);
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, OneOfTwoReadersMayLeave) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.resume(2, 1, 2);
  EXPECT_EQ(h.text(2), "llo");
  h.gone(1);
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  EXPECT_EQ(h.text(2), "llo!");
  EXPECT_EQ(h.ending(2), "stop");
  EXPECT_EQ(h.ending(1), "");
}

TEST(AdmissionClients, TimeoutsEndItInEachState) {
  Harness h;
  h.join(e1);
  auto ask = h.ask(1);
  ask.timeout_ms = 3000;
  h.generate(1, ask);
  ask.id = request_id(2);
  h.generate(2, ask);
  h.place(2, e1);
  h.tokens(e1, key(2), 0, "some");
  ask.id = request_id(3);
  ask.on_disconnect = OnDisconnect::park;
  h.generate(3, ask);
  h.gone(3);
  h.advance(2999);
  EXPECT_EQ(h.ending(1), "");
  h.advance(1);
  EXPECT_EQ(h.ending(1), "timeout");
  EXPECT_EQ(h.ending(2), "timeout");
  EXPECT_EQ(h.text(2), "some");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(2));
  EXPECT_NE(h.core.audit().find("\"timeout\":3"), std::string::npos);
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, AWaitingClientGetsASignOfLifeEachSecond) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  h.advance(3500);
  EXPECT_EQ(h.events<Waiting>(1).size(), 3u);
  h.place(1, e1);
  h.advance(1000);  // a long prefill
  EXPECT_EQ(h.events<Waiting>(1).size(), 4u);
  h.tokens(e1, key(1), 0, "x");
  h.advance(5000);
  EXPECT_EQ(h.events<Waiting>(1).size(), 4u);
  h.lose(1, 1);
  h.advance(1000);
  EXPECT_EQ(h.events<Waiting>(1).size(), 5u);
}

}  // namespace
}  // namespace aorta::admission
