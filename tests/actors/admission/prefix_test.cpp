// Names of blocks, salts of tenants, and what clients are told of cached tokens.
#include "engine/engine.hpp"
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

const mesh::PeerId e1 = executor(1), e2 = executor(2);

GenerateRequest asks_long(const Harness& h, std::uint64_t number, const std::string& tenant) {
  GenerateRequest ask = h.ask(number);
  ask.id = owned_id({0xA0, number}, tenant);
  ask.tenant = tenant;
  ask.prompt = std::string(100, 'p') + "?";
  return ask;
}

void first_tokens(Harness& h, const mesh::PeerId& from, mesh::RequestKey of, std::uint32_t first,
                  std::uint32_t cached) {
  mesh::TokenRun run{.key = of, .first = TokenIndex{first}, .ids = ids_of("x")};
  run.cached_tokens = cached;
  h.core.receive(from, mesh::Tokens{{run}, "n"}, h.now, h.out);
}

TEST(AdmissionPrefix, SubmitNamesTheFullBlocksOfPromptAndAnswer) {
  Harness h;
  h.join(e1);
  auto ask = asks_long(h, 1, "default");
  ask.max_tokens = 50;
  h.generate(1, ask);
  const auto names = h.last<mesh::Submit>().prefix;
  EXPECT_EQ(names.size(), 6u) << "of 101 tokens";
  h.place(1, e1);
  const mesh::Start start = h.last<mesh::Start>();
  const auto of_engine = engine::name_blocks(start.cache_salt, start.prompt);
  ASSERT_EQ(of_engine.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], of_engine[i].low);
  h.tokens(e1, key(1), 0, "0123456789abcdef");
  h.lose(1, 1);
  const auto more = h.last<mesh::Submit>().prefix;
  ASSERT_EQ(more.size(), 7u) << "the answer goes on where the prompt ends";
  EXPECT_TRUE(std::equal(names.begin(), names.end(), more.begin()));
}

TEST(AdmissionPrefix, NoMoreBlocksAreNamedThanConfigured) {
  for (const std::uint32_t most : {0u, 2u}) {
    Harness h(AdmissionOptions{.prefix_blocks = most});
    h.generate(1, asks_long(h, 1, "default"));
    EXPECT_EQ(h.last<mesh::Submit>().prefix.size(), most);
  }
}

TEST(AdmissionPrefix, BeatsDoNotRepeatThem) {
  Harness h;
  h.generate(1, asks_long(h, 1, "default"));
  h.advance(300);
  for (const auto& [to, beat] : h.sent<mesh::AdmissionBeat>()) {
    for (const mesh::OpenRequest& open : beat.open) EXPECT_TRUE(open.prefix.empty());
  }
}

TEST(AdmissionPrefix, ATenantsPromptsShareNamesAndNobodyElses) {
  const auto names_of = [](std::uint64_t number, const std::string& tenant) {
    Harness h;
    h.generate(1, asks_long(h, number, tenant));
    return h.last<mesh::Submit>().prefix;
  };
  const auto mine = names_of(1, "blue");
  EXPECT_EQ(mine, names_of(2, "blue")) << "of another request at another admission";
  const auto others = names_of(1, "red");
  ASSERT_EQ(others.size(), mine.size());
  for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_NE(mine[i], others[i]);
}

TEST(AdmissionPrefix, UsageTellsWhatWasCachedWhenTheAnswerBegan) {
  Harness h;
  h.join(e1);
  h.join(e2);
  auto ask = asks_long(h, 1, "default");
  ask.max_tokens = 3;
  h.generate(1, ask);
  h.place(1, e1);
  first_tokens(h, e1, key(1), 0, 96);
  h.lose(1, 1);
  h.place(1, e2, 2);
  first_tokens(h, e2, key(1, 2), 1, 16);
  h.tokens(e2, key(1, 2), 2, "y", mesh::Finish::length);
  const auto done = h.events<Done>(1);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].usage.cached_tokens, 96u) << "a later epoch's are no matter of the client's";
  EXPECT_EQ(done[0].usage.prompt_tokens, 101u);
  const std::string json = h.core.request_json("default", request_id(1));
  EXPECT_NE(json.find("\"cached_tokens\":96"), std::string::npos) << json;
  EXPECT_NE(json.find("\"cached_tokens\":16"), std::string::npos) << json;
}

TEST(AdmissionPrefix, OfAnAnswerThatFirstBeganWithoutACacheNoneIsTold) {
  Harness h;
  h.join(e1);
  h.join(e2);
  h.run(1, e1);
  first_tokens(h, e1, key(1), 0, 0);
  h.lose(1, 1);
  h.place(1, e2, 2);
  first_tokens(h, e2, key(1, 2), 1, 64);
  h.tokens(e2, key(1, 2), 2, "y", mesh::Finish::stop);
  EXPECT_EQ(h.events<Done>(1).at(0).usage.cached_tokens, 0u);
}

TEST(AdmissionPrefix, NoMoreThanThePromptWasCached) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  first_tokens(h, e1, key(1), 0, 1000);
  h.tokens(e1, key(1), 1, "y", mesh::Finish::stop);
  EXPECT_EQ(h.events<Done>(1).at(0).usage.cached_tokens, 3u);
}

}  // namespace
}  // namespace aorta::admission
