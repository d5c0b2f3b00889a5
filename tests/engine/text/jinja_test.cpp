// The Jinja subset: what it renders (checked against jinja2 3.1 with trim_blocks and
// lstrip_blocks), and what it answers to what it cannot do.
#include <gtest/gtest.h>

#include "engine/text/jinja/evaluator.hpp"
#include "engine/text/jinja/parser.hpp"

namespace aorta::engine::jinja {
namespace {

Variables variables() {
  const auto message = [](const char* role, const char* content) {
    return make_dict({{"role", make_string(role)}, {"content", make_string(content)}});
  };
  return {{"messages", make_list({message("user", " hé\n"), message("assistant", "b")})},
          {"n", Value(std::int64_t{7})},
          {"yes", Value(true)},
          {"nothing", Value(None{})},
          {"word", make_string("straße")}};
}

Result<std::string> render(std::string_view source, const Limits& limits = {}) {
  const auto block = parse(source);
  if (!block) return block.error();
  return evaluate(*block, variables(), limits);
}

struct Case {
  const char* source;
  const char* rendered;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto rendered = render(c.source);
    ASSERT_TRUE(rendered) << c.source << ": " << rendered.error().message;
    EXPECT_EQ(*rendered, c.rendered) << c.source;
  }
}

TEST(Jinja, Expressions) {
  expect_all({
      {"{{ 1 + 2 * 3 - 4 }}", "3"},
      {"{{ (1 + 2) * 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 4 / 2 }}", "9 -4 2 3.5 2.0"},
      {"{{ 'a' ~ 1 ~ none ~ true ~ missing }}", "a1NoneTrue"},
      {"{{ 'a' + 'b' * 3 }}", "abbb"},
      {"{{ 'x' 'y' \"z\" }}", "xyz"},
      {"{{ not yes or n == 7 and 'a' != 'b' }}", "True"},
      {"{{ nothing or 'other' }}{{ 0 and missing.x }}", "other0"},
      {"{{ 'é' in word }} {{ 'raß' in word }} {{ 8 not in [1, 8] }}", "False True False"},
      {"{{ 'role' in messages[0] }} {{ 1 == true }} {{ [1, 'a'] == [1.0, 'a'] }}",
       "True True True"},
      {"{{ 'yes' if yes else 'no' }}{{ 'x' if not yes }}", "yes"},
      {"{{ {'a': {'b': 5}}.a['b'] }}{{ {'a': 1}.get('c', 2) }}", "52"},
      {"{{ '\\n\\t\\\\\\'\\u00e9\\x41\\q' }}", "\n\t\\'\u00e9A\\q"},
      {"{{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1 < 2 }} {{ 'a' >= 'b' }}",
       "1.0 0.30000000000000004 True False"},
  });
}

TEST(Jinja, IndexesAndSlices) {
  expect_all({
      {"{{ messages[-1].role }} {{ messages[0]['role'] }}", "assistant user"},
      {"{{ messages[5] is defined }} {{ messages[0].nothing is defined }}", "False False"},
      {"{{ messages[1:] | length }}{{ messages[:-1]|length }}{{ messages[:]|length }}", "112"},
      {"{{ word[4] }} {{ word[::-1] }} {{ word[1:4] }} {{ word[-3:] }} {{ word[10:] }}|",
       "ß eßarts tra aße |"},
      {"{% for m in messages[::-1] %}{{ m.role[0] }}{% endfor %}", "au"},
      {"{{ [1,2,3,4,5][4:0:-2] | join(',') }}", "5,3"},
  });
}

TEST(Jinja, FiltersTestsAndMethods) {
  expect_all({
      {"{{ messages[0].content | trim | length }}", "2"},
      {"{{ [1, 'a', true] | join('-') }} {{ missing | default('d') }} {{ '' | d('e', true) }}",
       "1-a-True d e"},
      {"{{ 'aé' | upper }} {{ 'ÀB' | lower }} {{ 'hELLO you' | capitalize }} {{ 'a b' | title }}",
       "AÉ àb Hello you A B"},
      {"{{ {'a': [1, 2.5, none, true], 'é': 'x\"\\n'} | tojson }}",
       "{\"a\": [1, 2.5, null, true], \"é\": \"x\\\"\\n\"}"},
      {"{{ {'a': [1], 'b': {}} | tojson(indent=2) }}",
       "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"},
      {"{{ 'a,b,,c'.split(',') | length }} {{ ' a  b '.split() | join('|') }} "
       "{{ 'a b c'.split(' ', 1)[1] }} {{ 'x</t>y'.split('</t>')[-1] }}",
       "4 a|b b c y"},
      {"{{ '\\n x '.strip() }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'ab\\n'.rstrip() }}|", "x|axx|ab|"},
      {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'bc')) }}", "True True"},
      {"{{ 'aXbX'.replace('X', 'yy') }} {{ 'ab' | replace('a', '') }}", "ayybyy b"},
      {"{{ n is odd }} {{ n is not none }} {{ word is string }} {{ messages is mapping }}",
       "True True True False"},
      {"{{ nothing is none }} {{ n is number and n is eq 7 }} {{ 1 is in [1] }}", "True True True"},
      {"{{ messages | map(attribute='role') | join(' ') }}", "user assistant"},
      {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"},
      {"{{ [1, 2, 3] | reject('odd') | first }} {{ [1, 2] | last }} {{ 'ab' | reverse }}",
       "2 2 ba"},
      {"{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "x1y2"},
      {"{{ '12' | int + 1 }} {{ 3.9 | int }} {{ 'x' | int }} {{ 5 | string + '!' }}", "13 3 0 5!"},
  });
}

TEST(Jinja, StatementsAndScopes) {
  expect_all({
      {"{% if n > 9 %}a{% elif n > 5 %}b{% else %}c{% endif %}", "b"},
      {"{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}"
       "{{ loop.length }} {% endfor %}",
       "10TrueFalse2 21FalseTrue2 "},
      {"{% for x in [] %}a{% else %}none{% endfor %}", "none"},
      {"{% for x in [1,2,3,4] if x % 2 == 0 %}{{ x }}{{ loop.last }}{% endfor %}", "2False4True"},
      {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "21"},
      {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
      {"{% set ns = namespace(a=1) %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}"
       "{{ ns.a }}",
       "4"},
      {"{% set x %}in {{ n }}{% endset %}[{{ x }}]", "[in 7]"},
      {"{% for a in [1,2] %}{% for b in 'xy' %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}"
       "{{ loop.index }};{% endfor %}",
       "1x1 1y2 1;2x1 2y2 2;"},
      {"{% for m in messages %}{{ m.role }}{% if loop.nextitem is defined %}>"
       "{{ loop.nextitem.role }} {% endif %}{% endfor %}",
       "user>assistant assistant"},
  });
}

TEST(Jinja, WhiteSpace) {
  expect_all({
      {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
      {"a  {%- if true -%}  b  {%- endif %}  c", "ab  c"},
      {"a\n  {{ n }}\n  b", "a\n  7\n  b"},
      {"a \n {{- n -}} \n b", "a7b"},
      {"  {# gone #}\nx {#- y -#} z", "xz"},
      {"a\r\nb\rc", "a\nb\nc"},
      {"  {%+ if true +%}\nx{% endif %}", "  \nx"},
      {"a {% if true %} b {% endif %} c", "a  b  c"},
      {"{{ '}}' }}{{ {'a': {'b': 1}}.a.b}}", "}}1"},
      {"{ {% if true %}%}{% endif %}}", "{ %}}"},
      {"\n\n{% set x = 1 %}\n\n{{ x }}\n\n", "\n\n\n1\n"},
  });
}

void expect_error(std::string_view source, ErrorCode code, std::string_view part) {
  const auto rendered = render(source);
  ASSERT_FALSE(rendered) << source << " rendered " << *rendered;
  EXPECT_EQ(rendered.error().code, code) << rendered.error().message;
  EXPECT_NE(rendered.error().message.find(part), std::string::npos) << rendered.error().message;
}

TEST(Jinja, NamesWhatIsUnsupported) {
  const auto unsupported = ErrorCode::unsupported;
  expect_error("\n{% macro f() %}{% endmacro %}", unsupported, "line 2: the statement {% macro %}");
  expect_error("{% include 'x' %}", unsupported, "{% include %}");
  expect_error("{{ n | frobnicate }}", unsupported, "filter 'frobnicate'");
  expect_error("{{ n is prime }}", unsupported, "'is prime'");
  expect_error("x\ny\n{{ strftime_now('%d') }}", unsupported,
               "line 3: the function 'strftime_now'");
  expect_error("{{ word.zfill(3) }}", unsupported, "string.zfill()");
  expect_error("{{ 2 ** 3 }}", unsupported, "**");
  expect_error("{{ 1 < 2 < 3 }}", unsupported, "chained");
  expect_error("{{ messages }}", unsupported, "printing a list");
  expect_error("{{ '%s' % n }}", unsupported, "formatting");
  expect_error("{% set a, b = 1 %}", unsupported, "several names");
  expect_error("{{ [namespace()] }}", unsupported, "namespace");
}

TEST(Jinja, NamesWhatIsWrong) {
  const auto invalid = ErrorCode::invalid_argument;
  expect_error("{{ raise_exception('Roles must alternate') }}", invalid, "Roles must alternate");
  expect_error("{{ missing.x }}", invalid, "'missing' is undefined");
  expect_error("{{ messages[0].name.first }}", invalid, "'name' is undefined");
  expect_error("{{ 'a' + 1 }}", invalid, "cannot add string and int");
  expect_error("{{ 'a' + nothing }}", invalid, "string and none");
  expect_error("{{ 1 // 0 }}", invalid, "division by zero");
  expect_error("{% if n %}", invalid, "expected {% endif %} before the end of the template");
  expect_error("{{ n ", invalid, "never closed");
  expect_error("{{ 'abc }}", invalid, "a string is never closed");
  expect_error("{# abc", invalid, "comment");
  expect_error("{{ n } }}", invalid, "unexpected }");
  expect_error("{{ ! }}", invalid, "unexpected character '!'");
  expect_error("{% endif %}", ErrorCode::unsupported, "{% endif %}");
  expect_error("{{ }}", invalid, "expected an expression");
  expect_error("{{ messages[0:1:0] }}", invalid, "step");
  expect_error("{% for a, b in [1] %}{% endfor %}", invalid, "unpack");
  expect_error("{% set n.x = 1 %}", invalid, "not a namespace");
}

}  // namespace
}  // namespace aorta::engine::jinja
