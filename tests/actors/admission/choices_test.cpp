// A request for several choices: taken, streamed, cancelled, resumed and forgotten as one, and each
// choice a life of its own.
#include <nlohmann/json.hpp>

#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1), e2 = executor(2);
constexpr std::uint64_t number = 100;  // of the request: its choices are 100, 101, 102

GenerateRequest ask_for(const Harness& h, std::uint32_t choices) {
  auto ask = h.ask(number);
  ask.choices = choices;
  return ask;
}

// Asked by connection 1, and each choice placed on executor 1.
void run_all(Harness& h, GenerateRequest ask) {
  const std::uint32_t choices = ask.choices;
  h.join(e1);
  h.generate(1, std::move(ask));
  for (std::uint32_t i = 0; i < choices; ++i) h.place(number + i, e1);
}

std::string text_of(Harness& h, std::uint64_t connection_number, std::uint32_t choice) {
  std::string text;
  for (const auto& delta : h.events<Delta>(connection_number)) {
    if (delta.choice == choice) text += delta.text;
  }
  return text;
}

// The choices that have ended for this client, in order.
std::vector<std::uint32_t> endings(Harness& h, std::uint64_t connection_number) {
  std::vector<std::uint32_t> choices;
  for (const auto& done : h.events<Done>(connection_number)) choices.push_back(done.choice);
  for (const auto& failed : h.events<Failed>(connection_number)) choices.push_back(failed.choice);
  return choices;
}

using Choices = std::vector<std::uint32_t>;

TEST(Choices, AreRequestsOfTheirOwnUnderOneId) {
  Harness h;
  auto ask = ask_for(h, 3);
  ask.sampling.choice = 5;  // not the client's to say
  ask.stop_ids = {9};
  run_all(h, ask);
  const auto accepted = h.events<Accepted>(1);
  ASSERT_EQ(accepted.size(), 1u);
  EXPECT_EQ(accepted[0].request, request_id(number));
  EXPECT_EQ(accepted[0].choices, 3u);
  EXPECT_EQ(accepted[0].prompt_tokens, 3u);
  EXPECT_FALSE(accepted[0].chat);
  const auto starts = h.sent<mesh::Start>();
  ASSERT_EQ(starts.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(starts[i].second.key, key(number + i));
    EXPECT_EQ(starts[i].second.sampling.choice, i);
    EXPECT_EQ(starts[i].second.sampling.seed, 7u);
    EXPECT_EQ(starts[i].second.stop_ids, (std::vector<TokenId>{9, 0}));
    EXPECT_EQ(starts[i].second.prompt, ids_of("abc"));
  }
  h.tokens(e1, key(number + 1), 0, "one");
  h.tokens(e1, key(number), 0, "zero", Finish::stop);
  h.tokens(e1, key(number + 2), 0, "two", Finish::stop);
  EXPECT_EQ(endings(h, 1), (Choices{0, 2}));
  h.tokens(e1, key(number + 1), 3, "!", Finish::stop);
  EXPECT_EQ(endings(h, 1), (Choices{0, 2, 1}));
  EXPECT_EQ(text_of(h, 1, 0), "zero");
  EXPECT_EQ(text_of(h, 1, 1), "one!");
  EXPECT_EQ(text_of(h, 1, 2), "two");
  for (const auto& delta : h.events<Delta>(1)) EXPECT_EQ(delta.request, request_id(number));
  for (const auto& done : h.events<Done>(1)) EXPECT_EQ(done.request, request_id(number));
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 3u);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, AreTakenOrRefusedTogether) {
  Harness h({.max_choices = 4, .open_requests = 6, .open_per_tenant = 4});
  h.generate(1, ask_for(h, 5));
  EXPECT_EQ(h.events<Rejected>(1).at(0).status, 400);
  EXPECT_EQ(h.events<Rejected>(1).at(0).param, "n");
  h.generate(2, ask_for(h, 0));
  EXPECT_EQ(h.events<Rejected>(2).at(0).param, "n");
  h.generate(3, ask_for(h, 3));
  EXPECT_EQ(h.events<Accepted>(3).size(), 1u);
  auto more = h.ask(200);
  more.choices = 2;
  h.generate(4, more);
  EXPECT_EQ(h.events<Rejected>(4).at(0).code, "tenant_queue_full");
  more.tenant = "other";
  more.choices = 4;
  h.generate(5, more);
  EXPECT_EQ(h.events<Rejected>(5).at(0).code, "queue_full");
  more.choices = 3;
  h.generate(6, more);
  EXPECT_EQ(h.events<Accepted>(6).size(), 1u);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 6u);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, OfAnUrgentRequestNeedTheUrgentShare) {
  Harness h;
  h.figures.slots_total = h.figures.slots_known = 8;
  h.beat();
  auto ask = ask_for(h, 5);
  ask.tier = mesh::Tier::urgent;
  h.generate(1, ask);
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "urgent_tier_full");
  ask.choices = 4;
  h.generate(2, ask);
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
}

TEST(Choices, TakenBlindCountEach) {
  Harness h({.blind_requests = 4});
  h.scheduler_beats = false;
  h.advance(1001);
  h.generate(1, ask_for(h, 3));
  EXPECT_EQ(h.events<Accepted>(1).size(), 1u);
  auto more = h.ask(200);
  more.choices = 2;
  h.generate(2, more);
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "scheduler_silent");
}

TEST(Choices, NoneOfTheirIdsMayBeKnown) {
  Harness h;
  h.generate(1, h.ask(number + 2));
  h.generate(2, ask_for(h, 3));
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "request_exists");
  h.generate(3, ask_for(h, 2));
  EXPECT_EQ(h.events<Accepted>(3).size(), 1u);
}

TEST(Choices, TheirIdsMayPassTheEndOfTheNumbers) {
  Harness h;
  auto ask = ask_for(h, 3);
  ask.id.low = ~std::uint64_t{0};
  h.generate(1, ask);
  ASSERT_EQ(h.sent<mesh::Submit>().size(), 3u);
  EXPECT_EQ(h.last<mesh::Submit>().open.key.request, (RequestId{ask.id.high, 1}));
  h.core.cancel(connection(1), "default", ask.id, h.now, h.out);
  EXPECT_EQ(endings(h, 1), (Choices{0, 1, 2}));
  for (const auto& done : h.events<Done>(1)) EXPECT_EQ(done.request, ask.id);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, CancelEndsThoseThatAreOpen) {
  Harness h;
  run_all(h, ask_for(h, 3));
  h.tokens(e1, key(number + 1), 0, "x", Finish::stop);
  h.cancel(1, number);
  EXPECT_EQ(endings(h, 1), (Choices{1, 0, 2}));
  EXPECT_EQ(h.sent<mesh::Stop>().size(), 2u);
  h.cancel(2, number);  // a stranger is told how each ended
  EXPECT_EQ(endings(h, 2), (Choices{0, 1, 2}));
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, AreHeldAndRefusedAsOne) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, ask_for(h, 3));
  auto other = h.ask(200);
  other.choices = 2;
  h.generate(2, other);
  EXPECT_TRUE(h.told.empty());
  h.cancel(1, number);
  EXPECT_EQ(h.events<Rejected>(1).size(), 1u);
  h.gone(2);
  EXPECT_TRUE(h.balanced());
  EXPECT_EQ(h.core.readiness(h.now).open_requests, 0u);
  h.generate(3, ask_for(h, 3));
  h.figures.executors_ready = 1;
  h.beat();
  EXPECT_EQ(h.events<Accepted>(3).size(), 1u);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 3u);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, OneMayMoveWhileTheOthersStream) {
  Harness h;
  run_all(h, ask_for(h, 2));
  h.tokens(e1, key(number), 0, "ab");
  h.tokens(e1, key(number + 1), 0, "xy");
  h.lose(number + 1, 1);
  h.join(e2);
  h.place(number + 1, e2, 2);
  EXPECT_EQ(h.last<mesh::Start>().generated, ids_of("xy"));
  h.tokens(e1, key(number), 2, "c", Finish::stop);
  h.tokens(e2, key(number + 1, 2), 2, "z", Finish::stop);
  EXPECT_EQ(text_of(h, 1, 0), "abc");
  EXPECT_EQ(text_of(h, 1, 1), "xyz");
  const auto done = h.events<Done>(1);
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].epochs, 1u);
  EXPECT_EQ(done[1].epochs, 2u);
}

TEST(Choices, AreResumedEachAtItsIndex) {
  Harness h;
  run_all(h, ask_for(h, 3));
  h.tokens(e1, key(number), 0, "abc", Finish::stop);
  h.tokens(e1, key(number + 1), 0, "hello");
  const auto resume = [&](std::uint64_t to, std::vector<TokenIndex> next) {
    h.core.resume(connection(to), "default", request_id(number), next, h.now, h.out);
  };
  resume(2, {TokenIndex{1}, TokenIndex{3}});
  EXPECT_EQ(h.events<Accepted>(2).at(0).choices, 3u);
  EXPECT_EQ(text_of(h, 2, 0), "bc");
  EXPECT_EQ(text_of(h, 2, 1), "lo");
  EXPECT_EQ(endings(h, 2), (Choices{0}));
  resume(3, {TokenIndex{0}, TokenIndex{6}});
  EXPECT_EQ(h.events<Rejected>(3).at(0).code, "index_out_of_range");
  resume(4, {{}, {}, {}, {}});
  EXPECT_EQ(h.events<Rejected>(4).at(0).param, "next_index");
  h.tokens(e1, key(number + 1), 5, "!", Finish::stop);
  h.tokens(e1, key(number + 2), 0, "z", Finish::stop);
  EXPECT_EQ(endings(h, 1), (Choices{0, 1, 2}));
  EXPECT_EQ(endings(h, 2), (Choices{0, 1, 2}));
  EXPECT_TRUE(endings(h, 3).empty());
}

TEST(Choices, AreParkedAndComeBackTogether) {
  Harness h;
  auto ask = ask_for(h, 3);
  ask.idempotency_key = "k";  // parks
  ask.body_digest = "d";
  run_all(h, ask);
  h.tokens(e1, key(number), 0, "done", Finish::stop);
  h.tokens(e1, key(number + 1), 0, "half");
  h.gone(1);
  EXPECT_NE(h.core.audit().find("\"parked\":2"), std::string::npos);
  h.clear();
  auto again = ask;
  again.id = request_id(200);
  h.generate(2, again);
  ASSERT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_EQ(h.events<Accepted>(2)[0].request, request_id(number));
  EXPECT_EQ(text_of(h, 2, 0), "done");
  EXPECT_EQ(text_of(h, 2, 1), "half");
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 2u);
  again.body_digest = "e";
  h.generate(3, again);
  EXPECT_EQ(h.events<Rejected>(3).at(0).status, 409);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, AreForgottenTogether) {
  Harness h({.retain_ms = 1000});
  auto ask = ask_for(h, 2);
  ask.idempotency_key = "k";
  run_all(h, ask);
  h.tokens(e1, key(number), 0, "zero", Finish::stop);
  h.advance(5000);
  h.resume(2, number, 0);
  EXPECT_EQ(text_of(h, 2, 0), "zero");
  h.tokens(e1, key(number + 1), 0, "one", Finish::stop);
  h.advance(999);
  h.resume(3, number, 0);
  EXPECT_EQ(text_of(h, 3, 0), "zero");
  EXPECT_EQ(text_of(h, 3, 1), "one");
  h.advance(1);
  h.resume(4, number, 0);
  EXPECT_EQ(h.events<Rejected>(4).at(0).status, 404);
  EXPECT_EQ(h.core.audit().find("\"retained\":1"), std::string::npos);
  EXPECT_TRUE(h.balanced());
}

TEST(Choices, AreForgottenTogetherForWantOfRoom) {
  Harness h({.retain_requests = 3});
  h.join(e1);
  for (const std::uint64_t first : {100, 200}) {
    auto ask = h.ask(first);
    ask.choices = 2;
    h.generate(first, ask);
    for (const std::uint64_t n : {first, first + 1}) {
      h.place(n, e1);
      h.tokens(e1, key(n), 0, "x", Finish::stop);
    }
  }
  h.resume(1, 100, 0);
  EXPECT_EQ(h.events<Rejected>(1).at(0).status, 404);
  h.resume(2, 200, 0);
  EXPECT_EQ(endings(h, 2), (Choices{0, 1}));
}

TEST(Choices, EachTellsASlowClientThatItWasTooSlow) {
  Harness h({.retain_ms = 1000});
  run_all(h, ask_for(h, 2));
  h.core.hold(connection(1), true, h.now, h.out);
  h.tokens(e1, key(number), 0, "x", Finish::stop);
  h.advance(2000);
  EXPECT_TRUE(endings(h, 1).empty());  // the other still runs
  h.tokens(e1, key(number + 1), 0, "y", Finish::stop);
  h.advance(1000);
  ASSERT_EQ(h.events<Failed>(1).size(), 2u);
  EXPECT_EQ(h.events<Failed>(1)[1].code, "client_too_slow");
  EXPECT_EQ(endings(h, 1), (Choices{0, 1}));
}

TEST(Choices, AreNobodyElses) {
  Harness h;
  run_all(h, ask_for(h, 2));
  const auto try_id = [&](const std::string& tenant, RequestId id) {
    h.clear();
    h.core.cancel(connection(9), tenant, id, h.now, h.out);
    h.core.resume(connection(9), tenant, id, {}, h.now, h.out);
    EXPECT_EQ(h.events<Rejected>(9).size(), 2u);
    EXPECT_EQ(h.events<Rejected>(9).at(0).status, 404);
    EXPECT_EQ(h.events<Rejected>(9).at(1).status, 404);
    EXPECT_TRUE(h.core.request_json(tenant, id).empty());
  };
  try_id("other", request_id(number));
  try_id("default", request_id(number + 1));  // clients were told one id
  h.cancel(1, number);
  EXPECT_EQ(endings(h, 1), (Choices{0, 1}));
}

TEST(Choices, ShowInTheRequestsAccount) {
  for (const bool forgotten : {false, true}) {
    Harness h({.retain_ms = 1000});
    run_all(h, ask_for(h, 2));
    h.tokens(e1, key(number + 1), 0, "two", Finish::stop);
    h.tokens(e1, key(number), 0, "one!", Finish::stop);
    if (forgotten) h.advance(1000);
    const auto json = nlohmann::json::parse(h.core.request_json("default", request_id(number)));
    EXPECT_EQ(json["id"], request_id(number).to_string());
    ASSERT_EQ(json["choices"].size(), 2u);
    EXPECT_EQ(json["choices"][0]["tokens"], 5);
    EXPECT_EQ(json["choices"][0]["choice"], 0);
    EXPECT_EQ(json["choices"][1]["tokens"], 4);
    EXPECT_EQ(json["choices"][1]["id"], request_id(number + 1).to_string());
    EXPECT_TRUE(h.core.request_json("other", request_id(number)).empty());
  }
}

TEST(Choices, GiveOneSignOfLifeTogether) {
  Harness h;
  run_all(h, ask_for(h, 3));
  h.advance(2000);
  EXPECT_EQ(h.events<Waiting>(1).size(), 2u);
  h.tokens(e1, key(number), 0, "x");
  h.advance(2000);  // the first streams, two wait
  EXPECT_EQ(h.events<Waiting>(1).size(), 4u);
  EXPECT_EQ(h.events<Waiting>(1)[3].request, request_id(number));
}

}  // namespace
}  // namespace aorta::admission
