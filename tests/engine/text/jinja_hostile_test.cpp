// Templates come with model files from anywhere: each of these must end soon, with text or with
// one error.
#include <gtest/gtest.h>

#include <random>

#include "engine/text/chat_template.hpp"
#include "engine/text/jinja/evaluator.hpp"
#include "engine/text/jinja/parser.hpp"
#include "tests/engine/text/golden.hpp"

namespace aorta::engine::jinja {
namespace {

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

// Less than the defaults, so that reaching them takes milliseconds.
constexpr Limits small_limits{.steps = 400'000, .string_bytes = 4 << 20};

void expect_ends(const std::string& source, ErrorCode code, const Limits& limits = small_limits) {
  const auto block = parse(source);
  const Result<std::string> rendered =
      block ? evaluate(*block, {{"x", make_string(std::string(1 << 20, 'a'))}}, limits)
            : Result<std::string>(block.error());
  ASSERT_FALSE(rendered) << source.substr(0, 200);
  EXPECT_EQ(rendered.error().code, code) << rendered.error().message;
}

TEST(HostileTemplate, NestsTooDeep) {
  constexpr std::size_t many = 100'000;
  const auto code = ErrorCode::unsupported;
  const std::pair<const char*, const char*> brackets[] = {
      {"(", ")"},  {"[", "]"},  {"-", ""},     {"not ", ""},        {"{'a':", "}"},
      {"x[", "]"}, {"x(", ")"}, {"x|f(", ")"}, {"1 if x else ", ""}};
  for (const auto& [open, close] : brackets) {
    expect_ends("{{ " + repeated(open, many) + "1" + repeated(close, many) + " }}", code);
  }
  for (const char* chain : {" + 1", ".a", "[0]", "|trim", " is defined", " or 1", " ~ 1", "()"}) {
    expect_ends("{{ x" + repeated(chain, many) + " }}", code);
  }
  expect_ends(repeated("{% if x %}", many), code);
  expect_ends(repeated("{% for a in x %}", many), code);
  expect_ends(repeated("{% set a %}", many), code);
}

TEST(HostileTemplate, RunsOnAndOn) {
  const auto code = ErrorCode::resource_exhausted;
  const std::string loop = "{% for a in range(100000) %}";
  expect_ends(loop + loop + loop + "{% endfor %}{% endfor %}{% endfor %}", code, Limits());
  expect_ends("{{ range(99999999999999) }}", code);
  expect_ends(loop + "{% if x == x ~ '' %}{% endif %}{% endfor %}", code);
  expect_ends(loop + "{{ x | upper | length }}{% endfor %}", code);
  expect_ends(loop + "{{ 'aab' in x }}{% endfor %}", code);
  expect_ends(loop + "{% set b = x.split('a') %}{% endfor %}", code);
  expect_ends("{% set y = x ~ 'b' %}" + loop + "{{ y.strip(y) }}{% endfor %}", code);
}

TEST(HostileTemplate, GrowsWithoutBound) {
  const auto code = ErrorCode::resource_exhausted;
  const std::string loop = "{% for i in range(1000) %}";
  const std::string state = "{% set ns = namespace(v=x, l=[1]) %}";
  expect_ends(state + loop + "{% set ns.v = ns.v + ns.v %}{% endfor %}", code);
  expect_ends(state + loop + "{% set ns.l = ns.l + ns.l %}{% endfor %}", code);
  expect_ends(state + loop + "{% set ns.v = ns.v.replace('a', ns.v) %}{% endfor %}", code);
  expect_ends("{{ 'a' * 9223372036854775807 }}", code);
  expect_ends(loop + "{{ x }}{% endfor %}", code);
  expect_ends(loop + loop + "{{ x | join(x) }}{% endfor %}{% endfor %}", code);
}

TEST(HostileTemplate, DoublesSharedValues) {
  // Each turn nests the value in itself twice: small in memory, 2^n to walk through.
  const std::string grow =
      "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}"
      "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
  expect_ends(grow + "{{ ns.a == ns.b }}", ErrorCode::resource_exhausted);
  expect_ends(grow + "{{ ns.a | tojson }}", ErrorCode::resource_exhausted);
  const std::string deep =
      "{% set ns = namespace(a=[1]) %}{% for i in range(100000) %}"
      "{% set ns.a = [ns.a] %}{% endfor %}";
  expect_ends(deep, ErrorCode::invalid_argument);
}

TEST(HostileTemplate, HidesRecursionInArguments) {
  expect_ends("{{ 'a' | map(" + repeated("'map',", 100'000) + "'upper') | list }}",
              ErrorCode::unsupported);
  expect_ends("{% set ns = namespace() %}{% set ns.a = ns %}", ErrorCode::unsupported);
}

TEST(HostileTemplate, NumbersAtTheirLimits) {
  const auto code = ErrorCode::unsupported;
  expect_ends("{{ 9223372036854775807 + 1 }}", code);
  expect_ends("{{ -9223372036854775807 - 2 }}", code);
  expect_ends("{{ 9223372036854775807 * 2 }}", code);
  expect_ends("{{ (-9223372036854775807 - 1) // -1 }}", code);
  expect_ends("{{ 99999999999999999999 }}", code);
  const auto block = parse(
      "{{ (-9223372036854775807 - 1) % -1 }} {{ range(9223372036854775806, 9223372036854775807) | "
      "length }} {{ 'ab'[-9223372036854775807 - 1:9223372036854775807:9223372036854775807] }}");
  ASSERT_TRUE(block) << block.error().message;
  const auto rendered = evaluate(*block, {});
  ASSERT_TRUE(rendered) << rendered.error().message;
  EXPECT_EQ(*rendered, "0 1 a");
}

// Real templates with bytes lost, doubled and exchanged: whatever comes, it comes back.
TEST(HostileTemplate, SurvivesMutation) {
  const std::vector<ChatMessage> messages = {
      {"system", "s"}, {"user", "\xFF u\n"}, {"assistant", "<think>x</think>y"}, {"tool", "{}"}};
  std::mt19937 random(20240607);
  for (const char* folder : {"smollm2", "r1distill"}) {
    const std::string original =
        read_golden(std::string(folder) + "/chat.json").at("chat_template").get<std::string>();
    for (int round = 0; round < 3000; ++round) {
      std::string source = original;
      for (int edit = 0; edit < 1 + round % 4 && !source.empty(); ++edit) {
        const std::size_t at = random() % source.size(), from = random() % source.size();
        const std::size_t length = 1 + random() % 12;
        switch (random() % 4) {
          case 0:
            source.erase(at, length);
            break;
          case 1:
            source.insert(at, source.substr(from, length));
            break;
          case 2:
            source[at] = static_cast<char>(random());
            break;
          default:
            source.resize(std::max<std::size_t>(at, 1));
        }
      }
      const auto parsed = ChatTemplate::parse(source);
      if (!parsed) {
        EXPECT_NE(parsed.error().message.find("chat template line"), std::string::npos);
        continue;
      }
      if (const auto rendered = parsed->render({messages, true, "<s>", "</s>"}); !rendered) {
        EXPECT_NE(rendered.error().message.find("chat template line"), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace aorta::engine::jinja
