// What an answer carries beside its text: log-probabilities and a model's thinking.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;
using mesh::TokenLogprobs;

const mesh::PeerId e1 = executor(1), e2 = executor(2);

// ── Log-probabilities ──────────────────────────────────────────────────────────────────────────
// Of each byte of the text, made up from it: itself, and the byte after it.
std::vector<TokenLogprobs> logprobs_of(std::string_view text) {
  std::vector<TokenLogprobs> all;
  for (const char c : text) {
    const float logprob = -static_cast<float>(c);
    all.push_back({logprob, {{c, logprob}, {c + 1, logprob - 1}}});
  }
  return all;
}

void tokens_with_logprobs(Harness& h, const mesh::PeerId& from, mesh::RequestKey of,
                          std::uint32_t first, std::string_view text,
                          Finish finish = Finish::none) {
  h.core.receive(
      from, mesh::Tokens{{{of, TokenIndex{first}, ids_of(text), finish, logprobs_of(text)}}, "n"},
      h.now, h.out);
}

GenerateRequest ask_with_logprobs(const Harness& h) {
  auto ask = h.ask(1);
  ask.top_logprobs = 2;
  return ask;
}

// The chosen tokens' bytes; every delta must have as many log-probabilities as ids, and the right
// ones.
std::string chosen(Harness& h, std::uint64_t connection_number) {
  std::string text;
  for (const auto& delta : h.events<Delta>(connection_number)) {
    EXPECT_EQ(delta.logprobs.size(), delta.ids.size());
    for (const auto& one : delta.logprobs) {
      const float logprob = -static_cast<float>(one.chosen.bytes.at(0));
      EXPECT_EQ(one.chosen.logprob, logprob);
      EXPECT_EQ(one.top.at(0).bytes, one.chosen.bytes);
      EXPECT_EQ(one.top.at(1).bytes.at(0), one.chosen.bytes.at(0) + 1);
      EXPECT_EQ(one.top.at(1).logprob, logprob - 1);
      text += one.chosen.bytes;
    }
  }
  return text;
}

TEST(Answers, AreGivenWithLogprobsWhereTheyWereAskedFor) {
  Harness h;
  h.join(e1);
  h.generate(1, ask_with_logprobs(h));
  h.place(1, e1);
  EXPECT_TRUE(h.last<mesh::Start>().logprobs);
  EXPECT_EQ(h.last<mesh::Start>().top_logprobs, 2u);
  tokens_with_logprobs(h, e1, key(1), 0, "ab");
  tokens_with_logprobs(h, e1, key(1), 2, "c", Finish::length);
  EXPECT_EQ(chosen(h, 1), "abc");
  h.run(2, e1);
  EXPECT_FALSE(h.last<mesh::Start>().logprobs);
  tokens_with_logprobs(h, e1, key(2), 0, "ab");  // unasked: not passed on
  EXPECT_TRUE(h.events<Delta>(2).at(0).logprobs.empty());
}

TEST(Answers, KeepTheirLogprobsOverAMoveAndForResume) {
  Harness h;
  h.join(e1);
  h.join(e2);
  h.generate(1, ask_with_logprobs(h));
  h.place(1, e1);
  tokens_with_logprobs(h, e1, key(1), 0, "hel");
  h.lose(1, 1);
  h.place(1, e2, 2);
  EXPECT_TRUE(h.last<mesh::Start>().logprobs);
  tokens_with_logprobs(h, e2, key(1, 2), 3, "l");
  tokens_with_logprobs(h, e2, key(1, 2), 2, "llo", Finish::length);  // two again, one new
  EXPECT_EQ(chosen(h, 1), "hello");
  for (std::uint32_t next = 0; next <= 5; ++next) {
    h.resume(10 + next, 1, next);
    EXPECT_EQ(chosen(h, 10 + next), std::string("hello").substr(next));
  }
}

TEST(Answers, EndWithAStopStringAndItsLogprobs) {
  Harness h;
  h.join(e1);
  auto ask = ask_with_logprobs(h);
  ask.stop = {"ll"};
  h.generate(1, ask);
  h.place(1, e1);
  tokens_with_logprobs(h, e1, key(1), 0, "hello");
  EXPECT_EQ(chosen(h, 1), "hell");
  EXPECT_EQ(h.text(1), "he");
  EXPECT_EQ(h.ending(1), "stop");
}

// An executor of a version that knows no log-probabilities took over for a while.
TEST(Answers, HaveNoLogprobsFromTheFirstMissingOneOn) {
  Harness h;
  h.join(e1);
  h.generate(1, ask_with_logprobs(h));
  h.place(1, e1);
  tokens_with_logprobs(h, e1, key(1), 0, "ab");
  h.tokens(e1, key(1), 2, "c");
  tokens_with_logprobs(h, e1, key(1), 3, "d", Finish::length);
  const auto deltas = h.events<Delta>(1);
  ASSERT_EQ(deltas.size(), 3u);
  EXPECT_EQ(deltas[0].logprobs.size(), 2u);
  EXPECT_TRUE(deltas[1].logprobs.empty());
  EXPECT_TRUE(deltas[2].logprobs.empty());
  EXPECT_EQ(h.text(1), "abcd");
  EXPECT_EQ(h.ending(1), "length");
}

TEST(Answers, FailWhenLogprobsNameStrangersToTheModel) {
  Harness h;
  h.join(e1);
  h.generate(1, ask_with_logprobs(h));
  h.place(1, e1);
  auto logprobs = logprobs_of("a");
  logprobs[0].top[1].first = 256;
  h.core.receive(e1,
                 mesh::Tokens{{{key(1), TokenIndex{0}, ids_of("a"), Finish::none, logprobs}}, "n"},
                 h.now, h.out);
  EXPECT_EQ(h.ending(1), "engine_error");
}

TEST(Answers, MayBeAskedForSoManyLogprobsOnly) {
  Harness h;
  auto ask = h.ask(1);
  ask.top_logprobs = engine::max_top_logprobs + 1;
  h.generate(1, ask);
  EXPECT_EQ(h.events<Rejected>(1).at(0).param, "top_logprobs");
}

// ── Thinking ───────────────────────────────────────────────────────────────────────────────────
GenerateRequest chat(const Harness& h) {
  auto ask = h.ask(1);
  ask.prompt.reset();
  ask.messages = {{"user", "why?"}};
  return ask;
}

std::string reasoning(Harness& h, std::uint64_t connection_number) {
  std::string text;
  for (const auto& delta : h.events<Delta>(connection_number)) text += delta.reasoning;
  return text;
}

TEST(Answers, OfAModelThatThinksComeInTwoTexts) {
  const std::string answer = "hm, so</think>\n\nBecause.";
  for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
    Harness h({}, fake_model(6));
    h.join(e1);
    h.join(e2);
    h.generate(1, chat(h));
    h.place(1, e1);
    if (cut > 0) h.tokens(e1, key(1), 0, answer.substr(0, cut));
    const std::string before = reasoning(h, 1) + h.text(1);
    h.lose(1, 1);
    h.place(1, e2, 2);
    const auto next = static_cast<std::uint32_t>(cut);
    h.tokens(e2, key(1, 2), next, answer.substr(cut), Finish::stop);
    EXPECT_EQ(reasoning(h, 1), "hm, so") << cut;
    EXPECT_EQ(h.text(1), "Because.") << cut;
    EXPECT_EQ(h.events<Done>(1).at(0).usage.reasoning_tokens, 14u);
    h.resume(2, 1, next);  // what was delivered at the cut stays delivered
    EXPECT_EQ(before + reasoning(h, 2) + h.text(2), "hm, soBecause.") << cut;
  }
}

TEST(Answers, AreAllTextUnlessTheyAreAChat) {
  Harness h({}, fake_model(6));
  stream_hello(h, h.ask(1));
  h.tokens(e1, key(1), 5, "</think>!", Finish::stop);
  EXPECT_EQ(h.text(1), "hello</think>!");
  EXPECT_EQ(reasoning(h, 1), "");
  EXPECT_EQ(h.events<Done>(1).at(0).usage.reasoning_tokens, 0u);
}

}  // namespace
}  // namespace aorta::admission
