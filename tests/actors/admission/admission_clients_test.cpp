// What clients ask and are told: accepting, cancelling, leaving, resuming, repeating, being slow.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1);

// A request that streams from e1: "hello" is generated and delivered.
void stream_hello(Harness& h, GenerateRequest ask) {
  h.join(e1);
  h.generate(1, std::move(ask));
  h.place(1, e1);
  h.tokens(e1, key(1), 0, "hello");
}

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
  h.core.resume(connection(2), "other", request_id(1), TokenIndex{0}, h.now, h.out);
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

TEST(AdmissionClients, AParkedRequestFreesItsSlotAndGoesOnWhenResumed) {
  Harness h;
  auto ask = h.ask(1);
  ask.idempotency_key = "k";  // parks by default
  stream_hello(h, ask);
  h.gone(1);
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 1u);
  h.clear();
  h.advance(30'000);
  EXPECT_TRUE(h.last<mesh::AdmissionBeat>().open.empty());
  h.resume(2, 1, 3);
  EXPECT_EQ(h.text(2), "lo");
  const auto open = h.last<mesh::Submit>().open;
  EXPECT_EQ(open.key, key(1, 2));
  EXPECT_EQ(open.generated_tokens, 5u);
  h.place(1, e1, 2);
  EXPECT_EQ(h.last<mesh::Start>().generated, ids_of("hello"));
  h.tokens(e1, key(1, 2), 5, "!", Finish::stop);
  EXPECT_EQ(h.text(2), "lo!");
  EXPECT_EQ(h.ending(2), "stop");
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, NobodyResumesAParkedRequestForEver) {
  Harness h({.park_ms = 5000});
  auto ask = h.ask(1);
  ask.on_disconnect = OnDisconnect::park;
  stream_hello(h, ask);
  h.gone(1);
  h.advance(4999);
  EXPECT_NE(h.core.audit().find("\"parked\":1"), std::string::npos);
  h.advance(1);
  EXPECT_NE(h.core.audit().find("\"cancelled\":1"), std::string::npos);
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 1u);  // when it was parked
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, FinishGoesOnWithoutAClient) {
  Harness h;
  auto ask = h.ask(1);
  ask.on_disconnect = OnDisconnect::finish;
  stream_hello(h, ask);
  h.gone(1);
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  h.resume(2, 1, 0);
  EXPECT_EQ(h.text(2), "hello!");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST(AdmissionClients, ResumesAtEachIndexRunningAndFinished) {
  for (const bool finished : {false, true}) {
    Harness h;
    stream_hello(h, h.ask(1));
    if (finished) h.tokens(e1, key(1), 5, "", Finish::stop);
    const std::uint32_t known = finished ? 6 : 5;
    for (std::uint32_t next = 0; next <= known; ++next) {
      h.resume(10 + next, 1, next);
      EXPECT_EQ(h.events<Accepted>(10 + next).size(), 1u);
      EXPECT_EQ(h.text(10 + next), std::string("hello").substr(std::min(next, 5u))) << next;
      EXPECT_EQ(h.ending(10 + next), finished ? "stop" : "");
      for (const auto& delta : h.events<Delta>(10 + next)) {
        EXPECT_EQ(delta.first, TokenIndex{next});
        EXPECT_EQ(delta.ids.size(), known - next);
      }
    }
    h.resume(2, 1, known + 1);
    EXPECT_EQ(h.events<Rejected>(2).at(0).code, "index_out_of_range");
  }
}

TEST(AdmissionClients, AFinishedAnswerIsForgottenAfterAWhile) {
  Harness h({.retain_ms = 1000});
  stream_hello(h, h.ask(1));
  h.tokens(e1, key(1), 5, "", Finish::stop);
  h.advance(999);
  h.resume(2, 1, 0);
  EXPECT_EQ(h.text(2), "hello");
  h.advance(1);
  h.resume(3, 1, 0);
  EXPECT_EQ(h.events<Rejected>(3).at(0).status, 404);
  EXPECT_FALSE(h.core.request_json("default", request_id(1)).empty());  // the audit still knows
}

TEST(AdmissionClients, FinishedAnswersAreBoundedInNumberAndBytes) {
  for (const bool by_bytes : {false, true}) {
    AdmissionOptions options;
    if (by_bytes) {
      options.retain_bytes = 3000;
    } else {
      options.retain_requests = 2;
    }
    Harness h(options);
    h.join(e1);
    for (std::uint64_t n = 1; n <= 20; ++n) {
      h.run(n, e1);
      h.tokens(e1, key(n), 0, "x", Finish::stop);
    }
    h.resume(100, 1, 0);
    EXPECT_EQ(h.events<Rejected>(100).size(), 1u);
    h.resume(101, 20, 0);
    EXPECT_EQ(h.text(101), "x");
    EXPECT_TRUE(h.balanced());
  }
}

TEST(AdmissionClients, TheSameKeyAndBodyIsTheSameRequest) {
  Harness h;
  auto ask = h.ask(1);
  ask.idempotency_key = "k";
  ask.body_digest = "d";
  stream_hello(h, ask);
  auto again = ask;
  again.id = request_id(2);
  h.generate(2, again);  // running
  ASSERT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_EQ(h.events<Accepted>(2)[0].request, request_id(1));
  EXPECT_EQ(h.text(2), "hello");
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);
  h.tokens(e1, key(1), 5, "", Finish::stop);
  again.id = request_id(3);
  h.generate(3, again);  // finished
  EXPECT_EQ(h.text(3), "hello");
  EXPECT_EQ(h.ending(3), "stop");
  EXPECT_EQ(h.ending(2), "stop");
  auto other = again;
  other.body_digest = "e";
  h.generate(4, other);
  EXPECT_EQ(h.events<Rejected>(4).at(0).status, 409);
  other.tenant = "other";  // keys are a tenant's own
  other.id = request_id(5);
  h.generate(5, other);
  EXPECT_EQ(h.events<Accepted>(5).at(0).request, request_id(5));
}

TEST(AdmissionClients, ARefusedKeyMayBeUsedAgain) {
  Harness h({.open_requests = 1});
  h.generate(1, h.ask(1));
  auto ask = h.ask(2);
  ask.idempotency_key = "k";
  h.generate(2, ask);
  ASSERT_EQ(h.events<Rejected>(2).size(), 1u);
  h.cancel(1, 1);
  ask.body_digest = "other";
  h.generate(3, ask);
  EXPECT_EQ(h.events<Accepted>(3).size(), 1u);
}

TEST(AdmissionClients, AKeyIsForgottenWithItsRequest) {
  Harness h({.retain_ms = 1000});
  const auto keys = [&] {
    double keys = -1;
    for (const auto& figure : h.core.figures()) {
      if (figure.name == "aorta_idempotency_keys") keys = figure.value;
    }
    return keys;
  };
  auto ask = h.ask(1);
  ask.idempotency_key = "k";
  stream_hello(h, ask);
  EXPECT_EQ(keys(), 1);
  h.tokens(e1, key(1), 5, "", Finish::stop);
  h.advance(1000);
  EXPECT_EQ(keys(), 0);
}

TEST(AdmissionClients, AHeldRequestIsJoinedWithoutAPromise) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  auto ask = h.ask(1);
  ask.idempotency_key = "k";
  h.generate(1, ask);
  ask.id = request_id(2);
  h.generate(2, ask);
  h.resume(3, 1, 0);
  EXPECT_TRUE(h.told.empty());
  h.cancel(3, 1);
  for (std::uint64_t n : {1, 2, 3}) EXPECT_EQ(h.events<Rejected>(n).at(0).code, "cancelled") << n;
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionClients, ASlowClientGetsTheRestInOnePiece) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.clear();
  h.core.hold(connection(1), true, h.now, h.out);
  h.tokens(e1, key(1), 5, " wo");
  h.tokens(e1, key(1), 8, "rld", Finish::stop);
  h.collect();
  EXPECT_TRUE(h.told.empty());
  h.core.hold(connection(1), false, h.now, h.out);
  ASSERT_EQ(h.events<Delta>(1).size(), 1u);
  EXPECT_EQ(h.events<Delta>(1)[0].text, " world");
  EXPECT_EQ(h.events<Delta>(1)[0].first, TokenIndex{5});
  EXPECT_EQ(h.ending(1), "stop");
}

TEST(AdmissionClients, AClientTooSlowForRetentionIsTold) {
  Harness h({.retain_ms = 1000});
  stream_hello(h, h.ask(1));
  h.core.hold(connection(1), true, h.now, h.out);
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  h.advance(1000);
  EXPECT_EQ(h.ending(1), "client_too_slow");
  h.core.hold(connection(1), false, h.now, h.out);
  EXPECT_EQ(h.ending(1), "client_too_slow");
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
