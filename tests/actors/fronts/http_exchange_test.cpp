// Several choices, logprobs, thinking and usage: an answer's events and what is written of them.
#include "actors/fronts/http_exchange.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace aorta::fronts {
namespace {

using admission::Delta;
using admission::Done;
using nlohmann::json;

struct Recorder final : HttpSink {
  void respond(HttpResponse got) override { response = std::move(got); }
  void begin_stream(HttpResponse) override {}
  void stream(std::string_view text) override { streamed += text; }
  void end_stream() override { ended = true; }
  // Of each event with data: its id, and the data.
  std::vector<std::pair<std::string, json>> events() const {
    std::vector<std::pair<std::string, json>> all;
    std::istringstream lines(streamed);
    std::string id;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("id: ")) id = line.substr(4);
      if (line.starts_with("data: {")) all.emplace_back(id, json::parse(line.substr(6)));
    }
    return all;
  }
  std::optional<HttpResponse> response;
  std::string streamed;
  bool ended = false;
};

const RequestId id{1, 2};

admission::Accepted accepted(std::uint32_t choices) {
  return {.request = id, .model = "m", .seed = 7, .choices = choices, .prompt_tokens = 5};
}
Delta said(std::uint32_t choice, std::uint32_t first, const std::string& text) {
  return {.request = id, .first = {first}, .ids = {1}, .text = text, .choice = choice};
}
Done done(std::uint32_t choice, std::uint32_t tokens, const std::string& reason = "stop") {
  return {.request = id,
          .finish_reason = reason,
          .usage = {.prompt_tokens = 5, .completion_tokens = tokens, .reasoning_tokens = 1},
          .epochs = choice + 1,
          .choice = choice};
}

struct Exchange {
  explicit Exchange(HttpExchange::Plan plan) : exchange(sink, std::move(plan), 1) {}
  template <class... Events>
  void tell(const Events&... events) {
    (exchange.on(events), ...);
  }
  Recorder sink;
  HttpExchange exchange;
};

TEST(HttpExchange, CollectsAllChoices) {
  Exchange one({.shape = Shape::chat});
  one.tell(accepted(2), said(1, 0, "B"), said(0, 0, "A"), done(1, 1, "cancelled"), said(0, 1, "a"));
  EXPECT_FALSE(one.sink.response);
  one.tell(done(0, 2));
  const json body = json::parse(one.sink.response.value().body);
  EXPECT_EQ(body["choices"][0]["message"]["content"], "Aa");
  EXPECT_EQ(body["choices"][1]["message"]["content"], "B");
  EXPECT_EQ(body["choices"][1]["index"], 1);
  EXPECT_EQ(body["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(body["usage"]["completion_tokens"], 3);
  EXPECT_EQ(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 2);
  EXPECT_EQ(body["aorta"]["finish_reasons"], json({"stop", "cancelled"}));
  EXPECT_EQ(body["aorta"]["epochs"], 2);
  EXPECT_FALSE(one.exchange.open());
}

TEST(HttpExchange, StreamsChoicesWithTheirIndex) {
  Exchange one({.shape = Shape::chat, .stream = true, .include_usage = true});
  one.tell(accepted(2), said(1, 0, "B"), done(1, 1), said(0, 0, "A"), done(0, 1));
  const auto events = one.sink.events();
  ASSERT_EQ(events.size(), 7u);  // two roles, two texts, two reasons, usage
  EXPECT_EQ(events[1].second["choices"][0]["index"], 1);
  EXPECT_EQ(events[2].first, "0,1");
  EXPECT_EQ(events[2].second["choices"][0]["delta"]["content"], "B");
  EXPECT_EQ(events[2].second["usage"], nullptr);
  EXPECT_EQ(events[3].second["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[6].first, "1,1");
  EXPECT_EQ(events[6].second["usage"]["completion_tokens"], 2);
  EXPECT_TRUE(one.sink.streamed.ends_with("data: [DONE]\n\n"));
  EXPECT_TRUE(one.sink.ended);
}

TEST(HttpExchange, UsageComesWithEachChunkIfAsked) {
  Exchange one(
      {.shape = Shape::text, .stream = true, .include_usage = true, .continuous_usage = true});
  one.tell(accepted(1), said(0, 0, "A"), said(0, 1, "B"), done(0, 2));
  const auto events = one.sink.events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].second["usage"]["completion_tokens"], 1);
  EXPECT_EQ(events[1].second["usage"]["total_tokens"], 7);
  EXPECT_TRUE(events[3].second["choices"].empty());
}

TEST(HttpExchange, AFailedChoiceIsToldWhenTheOthersHaveEnded) {
  const admission::Failed failed{
      .request = id, .status = 500, .code = "poison", .message = "It broke.", .choice = 0};
  Exchange stream({.shape = Shape::chat, .stream = true}), whole({.shape = Shape::chat});
  stream.tell(accepted(2), failed, said(1, 0, "B"), done(1, 1));
  EXPECT_EQ(stream.sink.events().back().second["error"]["code"], "poison");
  EXPECT_NE(stream.sink.streamed.find("\"B\""), std::string::npos);
  EXPECT_TRUE(stream.sink.ended);
  whole.tell(accepted(2), failed);
  EXPECT_TRUE(whole.exchange.open());
  whole.tell(done(1, 1));
  EXPECT_EQ(whole.sink.response.value().status, 500);
}

TEST(HttpExchange, ClientsThatTryAgainByThemselvesAreToldWhenNotTo) {
  const auto headers = [](const ApiError& error) { return error_response(error).headers; };
  const HttpHeaders never = {{"x-should-retry", "false"}};
  EXPECT_EQ(headers({500, "poison", "It broke.", "", 0}), never);
  EXPECT_EQ(headers({409, "idempotency_conflict", "Another body.", "", 0}), never);
  EXPECT_EQ(headers({503, "overloaded", "Later.", "", 1500}),
            (HttpHeaders{{"Retry-After", "2"}, {"retry-after-ms", "1500"}}));
  EXPECT_TRUE(headers({400, "invalid_value", "No.", "", 0}).empty());
}

TEST(HttpExchange, ThinkingComesUnderBothNames) {
  Delta thought = said(0, 0, "");
  thought.reasoning = "Hm.";
  Exchange stream({.shape = Shape::chat, .stream = true}), whole({.shape = Shape::chat});
  for (Exchange* one : {&stream, &whole})
    one->tell(accepted(1), thought, said(0, 1, "Yes"), done(0, 2));
  const json delta = stream.sink.events()[1].second["choices"][0]["delta"];
  EXPECT_EQ(delta, json({{"reasoning_content", "Hm."}, {"reasoning", "Hm."}}));
  const json message = json::parse(whole.sink.response.value().body)["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "Hm.");
  EXPECT_EQ(message["reasoning"], "Hm.");
  EXPECT_EQ(message["content"], "Yes");
}

TEST(HttpExchange, LogprobsComeInTheShapeOfTheEndpoint) {
  Delta held = said(0, 0, "");  // part of a character: no text yet, but its logprobs
  held.logprobs = {{{"\xC3", -1.0f}, {}}};
  Delta rest = said(0, 1, "\xC3\xA9");
  rest.logprobs = {{{"\xA9", -2.0f}, {}}};
  Exchange stream({.shape = Shape::text, .stream = true}), whole({.shape = Shape::chat});
  for (Exchange* one : {&stream, &whole}) one->tell(accepted(1), held, rest, done(0, 2));
  const auto events = stream.sink.events();
  EXPECT_EQ(events[0].second["choices"][0]["logprobs"]["text_offset"], json({0}));
  EXPECT_EQ(events[1].second["choices"][0]["logprobs"]["text_offset"], json({1}));
  EXPECT_EQ(events[2].second["choices"][0]["logprobs"], nullptr);
  const json choice = json::parse(whole.sink.response.value().body)["choices"][0];
  EXPECT_EQ(choice["logprobs"]["content"][1]["logprob"], -2.0);
  EXPECT_EQ(choice["logprobs"]["refusal"], nullptr);
}

TEST(HttpExchange, InferenceIsShort) {
  Exchange one({.shape = Shape::inference});
  one.tell(accepted(1), said(0, 0, "A"), done(0, 1));
  const json body = json::parse(one.sink.response.value().body);
  EXPECT_EQ(body["id"], id.to_string());
  EXPECT_EQ(body["text"], "A");
  EXPECT_EQ(body["finish_reason"], "stop");
  EXPECT_EQ(body["usage"]["total_tokens"], 6);
  EXPECT_EQ(body.size(), 4u);
}

}  // namespace
}  // namespace aorta::fronts
