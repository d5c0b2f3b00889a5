// Clients that come back: parked, finished and repeated requests, and clients that are slow.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1);

TEST(AdmissionResume, AParkedRequestFreesItsSlotAndGoesOnWhenResumed) {
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

TEST(AdmissionResume, NobodyResumesAParkedRequestForEver) {
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

TEST(AdmissionResume, FinishGoesOnWithoutAClient) {
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

TEST(AdmissionResume, ResumesAtEachIndexRunningAndFinished) {
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

TEST(AdmissionResume, AFinishedAnswerIsForgottenAfterAWhile) {
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

TEST(AdmissionResume, FinishedAnswersAreBoundedInNumberAndBytes) {
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

TEST(AdmissionResume, TheSameKeyAndBodyIsTheSameRequest) {
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

TEST(AdmissionResume, ARefusedKeyMayBeUsedAgain) {
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

TEST(AdmissionResume, AKeyIsForgottenWithItsRequest) {
  Harness h({.retain_ms = 1000});
  const auto keys = [&] {
    double keys = -1;
    for (const auto& figure : h.core.figures(h.now)) {
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

TEST(AdmissionResume, AHeldRequestIsJoinedWithoutAPromise) {
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

TEST(AdmissionResume, ASlowClientGetsTheRestInOnePiece) {
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

TEST(AdmissionResume, AClientTooSlowForRetentionIsTold) {
  Harness h({.retain_ms = 1000});
  stream_hello(h, h.ask(1));
  h.core.hold(connection(1), true, h.now, h.out);
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  h.advance(1000);
  EXPECT_EQ(h.ending(1), "client_too_slow");
  h.core.hold(connection(1), false, h.now, h.out);
  EXPECT_EQ(h.ending(1), "client_too_slow");
}

}  // namespace
}  // namespace aorta::admission
