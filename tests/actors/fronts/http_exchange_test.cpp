// Several choices, logprobs, thinking and usage: an answer's events and what is written of them.
#include "actors/fronts/http_exchange.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "actors/fronts/event_id.hpp"
#include "base/delivered_hash.hpp"

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
const std::vector<TokenId> one_id{1};

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
  const std::string nothing = "-cbf29ce484222325", token = "-" + hash_text(delivered_hash(one_id));
  EXPECT_EQ(events[2].first, "0" + nothing + ",1" + token);
  EXPECT_EQ(events[2].second["choices"][0]["delta"]["content"], "B");
  EXPECT_EQ(events[2].second["usage"], nullptr);
  EXPECT_EQ(events[3].second["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[6].first, "1" + token + ",1" + token);
  EXPECT_EQ(events[6].second["usage"]["completion_tokens"], 2);
  EXPECT_TRUE(one.sink.streamed.ends_with("data: [DONE]\n\n"));
  EXPECT_TRUE(one.sink.ended);
}

TEST(HttpExchange, AnEventSaysHowFarAResumedStreamHasCome) {
  const std::uint64_t before = delivered_hash(one_id);
  Exchange one({.stream = true, .cursors = {{TokenIndex{1}, false, before}}});
  Delta end_text = said(0, 2, "!");
  end_text.ids.clear();
  one.tell(accepted(1), said(0, 1, "B"), end_text, done(0, 2));
  const auto events = one.sink.events();
  const std::string hash = "-" + hash_text(delivered_hash(one_id, before));
  EXPECT_EQ(events[0].first, "1-" + hash_text(before));
  EXPECT_EQ(events[1].first, "2" + hash);
  EXPECT_EQ(events[2].first, "2+" + hash);
  EXPECT_EQ(parse_event_id(events[2].first)->at(0).end_text, true);
}

TEST(HttpExchange, OfABareIndexNothingIsKnown) {
  Exchange one({.stream = true, .cursors = {{TokenIndex{1}}}});
  one.tell(accepted(1), said(0, 1, "B"));
  EXPECT_EQ(one.sink.events().back().first, "2");
}

TEST(EventId, IsReadAsItIsWritten) {
  const std::vector<admission::Cursor> cursors{
      {TokenIndex{0}}, {TokenIndex{12}, true}, {TokenIndex{7}, false, 0xab}, {TokenIndex{9}, true, 1}};
  std::string text;
  for (const auto& cursor : cursors) text += (text.empty() ? "" : ",") + event_id_part(cursor);
  EXPECT_EQ(text, "0,12+,7-00000000000000ab,9+-0000000000000001");
  const auto read = parse_event_id(text);
  ASSERT_TRUE(read && read->size() == cursors.size());
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    EXPECT_EQ((*read)[i].next, cursors[i].next);
    EXPECT_EQ((*read)[i].end_text, cursors[i].end_text);
    EXPECT_EQ((*read)[i].delivered_hash, cursors[i].delivered_hash);
  }
  EXPECT_TRUE(parse_event_id("")->empty());
  for (const char* wrong : {"x", "1,", ",1", "1-", "1-ab", "1-00000000000000zz", "1+2", "-1", "1 ",
                            "4294967296", "1-00000000000000ab0"}) {
    EXPECT_FALSE(parse_event_id(wrong)) << wrong;
  }
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
