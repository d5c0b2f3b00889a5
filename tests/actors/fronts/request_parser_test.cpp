#include "actors/fronts/request_parser.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "actors/fronts/draw.hpp"

namespace aorta::fronts {
namespace {

using nlohmann::json;

std::variant<ParsedRequest, ApiError> parse(const std::string& more, Endpoint endpoint,
                                            const RequestHints& hints = {}) {
  const std::string question = endpoint == Endpoint::completion
                                   ? R"("prompt":"Once")"
                                   : R"("messages":[{"role":"user","content":"Why?"}])";
  return parse_request(json::parse("{" + question + (more.empty() ? "" : "," + more) + "}"),
                       endpoint, hints);
}

ParsedRequest good(const std::string& more, const RequestHints& hints = {},
                   Endpoint endpoint = Endpoint::chat) {
  auto parsed = parse(more, endpoint, hints);
  if (const auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << more << ": " << error->message;
    return {};
  }
  return std::get<ParsedRequest>(std::move(parsed));
}

ApiError bad_body(const std::string& body, Endpoint endpoint = Endpoint::chat) {
  auto parsed = parse_request(json::parse(body), endpoint, {});
  if (const auto* error = std::get_if<ApiError>(&parsed)) return *error;
  ADD_FAILURE() << body << " was taken";
  return {};
}

TEST(RequestParser, TakesOpenAisFields) {
  const auto parsed = good(R"("model":"m","temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,
    "presence_penalty":-2,"frequency_penalty":2,"repetition_penalty":1.1,"logit_bias":{"7":-100,"3":1},
    "seed":42,"stop":["a","b"],"max_completion_tokens":10.0,"min_tokens":2,"ignore_eos":true,
    "stream":true,"stream_options":{"include_usage":true},"user":"u","metadata":{},"store":false)");
  const auto& request = parsed.generate;
  EXPECT_EQ(request.model, "m");
  EXPECT_FLOAT_EQ(request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(request.sampling.top_p, 0.9f);
  EXPECT_EQ(request.sampling.top_k, 40u);
  EXPECT_FLOAT_EQ(request.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(request.sampling.presence_penalty, -2);
  EXPECT_FLOAT_EQ(request.sampling.frequency_penalty, 2);
  EXPECT_FLOAT_EQ(request.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(request.sampling.logit_bias,
            (std::vector<std::pair<TokenId, float>>{{3, 1.0f}, {7, -100.0f}}));
  EXPECT_EQ(request.sampling.seed, 42u);
  EXPECT_TRUE(request.seed_given);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.max_tokens, 10u);
  EXPECT_EQ(request.min_tokens, 2u);
  EXPECT_TRUE(request.ignore_eos);
  EXPECT_TRUE(parsed.stream);
  EXPECT_TRUE(parsed.include_usage);
  EXPECT_TRUE(parsed.ignored.empty());
}

TEST(RequestParser, LeavesDefaultsWhereNothingIsSaid) {
  const auto parsed = good(R"("temperature":null,"max_tokens":null,"seed":null,"stop":null)");
  EXPECT_EQ(parsed.generate.sampling, engine::Sampling{});
  EXPECT_FALSE(parsed.generate.max_tokens);
  EXPECT_FALSE(parsed.generate.seed_given);
  EXPECT_FALSE(parsed.generate.sampling_given);
  EXPECT_FALSE(parsed.generate.on_disconnect);
  EXPECT_EQ(parsed.generate.tier, mesh::Tier::high);
  EXPECT_FALSE(parsed.stream);
}

TEST(RequestParser, OneWordOnSamplingLeavesTheModelsOwn) {
  EXPECT_TRUE(good(R"("temperature":1)").generate.sampling_given);
  EXPECT_TRUE(good(R"("top_p":1)").generate.sampling_given);
  EXPECT_FALSE(good(R"("top_k":40)").generate.sampling_given);
}

TEST(RequestParser, SeedsAreAny64Bits) {
  EXPECT_EQ(good(R"("seed":-1)").generate.sampling.seed, ~0ull);
  EXPECT_EQ(good(R"("seed":18446744073709551615)").generate.sampling.seed, ~0ull);
  EXPECT_EQ(good(R"("seed":0)").generate.seed_given, true);
}

TEST(RequestParser, TakesMessagesInAllForms) {
  const auto parsed = parse_request(json::parse(R"({"messages":[
    {"role":"developer","content":"Be brief."},
    {"role":"user","content":[{"type":"text","text":"Why "},{"type":"text","text":"so?"}]},
    {"role":"assistant","content":null,"refusal":null,"tool_calls":[]},
    {"role":"tool","content":"x","tool_call_id":"1","name":"n"}]})"),
                                    Endpoint::chat, {});
  const auto& ours = std::get<ParsedRequest>(parsed);
  ASSERT_EQ(ours.generate.messages.size(), 4u);
  EXPECT_EQ(ours.generate.messages[0].role, "developer");
  EXPECT_EQ(ours.generate.messages[1].content, "Why so?");
  EXPECT_EQ(ours.generate.messages[2].content, "");
  EXPECT_EQ(ours.ignored, (std::vector<std::string>{"messages[].name"}));
}

TEST(RequestParser, TakesPromptsAsTextAndIds) {
  const auto prompt = [](const std::string& value) {
    return std::get<ParsedRequest>(
               parse_request(json::parse("{\"prompt\":" + value + "}"), Endpoint::generate, {}))
        .generate;
  };
  EXPECT_EQ(prompt("\"Once\"").prompt, "Once");
  EXPECT_EQ(prompt("[\"Once\"]").prompt, "Once");
  EXPECT_EQ(prompt("[[4,5]]").prompt_ids, (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(prompt("[1,2.0,3]").prompt_ids, (std::vector<TokenId>{1, 2, 3}));
}

TEST(RequestParser, TiersComeFromTheMostSpecificWord) {
  EXPECT_EQ(good(R"("service_tier":"priority")").generate.tier, mesh::Tier::urgent);
  EXPECT_EQ(good(R"("service_tier":"flex")").generate.tier, mesh::Tier::normal);
  EXPECT_EQ(good(R"("service_tier":"auto")").generate.tier, mesh::Tier::high);
  EXPECT_EQ(good(R"("service_tier":"flex")", {"urgent", ""}).generate.tier, mesh::Tier::urgent);
  EXPECT_EQ(good(R"("aorta":{"tier":"normal"})", {"urgent", ""}).generate.tier, mesh::Tier::normal);
  const auto error = std::get<ApiError>(parse("", Endpoint::chat, {"asap", ""}));
  EXPECT_EQ(error.param, "X-Aorta-Tier");
  EXPECT_EQ(error.message, "Invalid 'X-Aorta-Tier': 'asap' is none of 'urgent', 'high', 'normal'.");
}

TEST(RequestParser, TakesAortasOwn) {
  const auto parsed = good(
      R"("aorta":{"timeout_ms":500,"determinism":"strict","on_disconnect":"finish","tenant_class":"a","x":1})");
  EXPECT_EQ(parsed.generate.timeout_ms, 500u);
  EXPECT_EQ(parsed.generate.determinism, mesh::Determinism::strict);
  EXPECT_EQ(parsed.generate.on_disconnect, admission::OnDisconnect::finish);
  EXPECT_EQ(parsed.ignored, (std::vector<std::string>{"aorta.tenant_class", "aorta.x"}));
}

TEST(RequestParser, TakesChoicesAndLogprobs) {
  const auto chat = good(R"("n":3,"logprobs":true,"top_logprobs":5,"stop_token_ids":[7,9.0])");
  EXPECT_EQ(chat.generate.choices, 3u);
  EXPECT_EQ(chat.generate.top_logprobs, 5u);
  EXPECT_EQ(chat.generate.stop_ids, (std::vector<TokenId>{7, 9}));
  EXPECT_EQ(good(R"("logprobs":true)").generate.top_logprobs, 0u);
  EXPECT_FALSE(good(R"("logprobs":false,"top_logprobs":0)").generate.top_logprobs);
  const auto text = good(R"("n":2,"best_of":2,"logprobs":3)", {}, Endpoint::completion);
  EXPECT_EQ(text.generate.choices, 2u);
  EXPECT_EQ(text.generate.top_logprobs, 3u);
  EXPECT_TRUE(text.ignored.empty());
  EXPECT_EQ(good(R"("logprobs":4)", {}, Endpoint::generate).generate.top_logprobs, 4u);
  for (const char* wrong : {R"("logprobs":true)", R"("logprobs":-1)", R"("best_of":4,"n":2)"}) {
    EXPECT_TRUE(std::holds_alternative<ApiError>(parse(wrong, Endpoint::completion))) << wrong;
  }
}

TEST(RequestParser, InferenceIsOneText) {
  const auto inference = [](const std::string& body) {
    return parse_request(json::parse(body), Endpoint::inference, {});
  };
  const auto parsed = inference(R"({"text":"Once","max_tokens":4,"temperature":0,"prompt":"x"})");
  const auto& ours = std::get<ParsedRequest>(parsed);
  EXPECT_EQ(ours.generate.prompt, "Once");
  EXPECT_EQ(ours.generate.max_tokens, 4u);
  EXPECT_EQ(ours.ignored, (std::vector<std::string>{"prompt"}));
  const auto param = [&](const std::string& body) {
    return std::get<ApiError>(inference(body)).param;
  };
  EXPECT_EQ(param("{}"), "text");
  EXPECT_EQ(param(R"({"text":7})"), "text");
  EXPECT_EQ(param(R"({"text":"x","stream":true})"), "stream");
  EXPECT_EQ(param(R"({"text":"x","n":2})"), "n");
  EXPECT_EQ(param(R"({"text":"x","logprobs":1})"), "logprobs");
}

TEST(RequestParser, UsageMayComeWithEachChunk) {
  const auto with = [](const std::string& options) {
    return good(R"("stream":true,"stream_options":)" + options);
  };
  EXPECT_TRUE(with(R"({"include_usage":true,"continuous_usage_stats":true})").continuous_usage);
  EXPECT_FALSE(with(R"({"continuous_usage_stats":true})").continuous_usage);
}

TEST(RequestParser, UnknownFieldsAreListed) {
  EXPECT_EQ(good(R"("best_effort":true,"id":"x")").ignored,
            (std::vector<std::string>{"best_effort", "id"}));
  EXPECT_TRUE(good(R"("id":"x","acks":true)", {}, Endpoint::generate).ignored.empty());
}

TEST(RequestParser, WhatAsksForNothingIsTaken) {
  good(R"("n":1,"logprobs":false,"top_logprobs":0,"tools":[],"tool_choice":"none",
    "response_format":{"type":"text"},"modalities":["text"],"audio":null,"functions":[],
    "parallel_tool_calls":true,"logit_bias":{},"suffix":"","n":1.0)");
}

// One field wrong: the parameter named, and a sentence that says what is allowed.
TEST(RequestParser, NamesTheFieldAtFault) {
  struct Case {
    std::string more, param, sentence;
  };
  const Case cases[] = {
      {R"("model":5)", "model", "expected a string, but got an integer"},
      {R"("temperature":"hot")", "temperature", "expected a number, but got a string"},
      {R"("temperature":-0.1)", "temperature", "must be between 0 and 2"},
      {R"("temperature":2.1)", "temperature", "must be between 0 and 2"},
      {R"("top_p":1.5)", "top_p", "must be between 0 and 1"},
      {R"("min_p":-1)", "min_p", "must be between 0 and 1"},
      {R"("top_k":-2)", "top_k", "not an integer between -1 and"},
      {R"("top_k":1.5)", "top_k", "1.5 is not an integer"},
      {R"("presence_penalty":3)", "presence_penalty", "must be between -2 and 2"},
      {R"("frequency_penalty":[])", "frequency_penalty", "expected a number, but got an array"},
      {R"("repetition_penalty":0)", "repetition_penalty", "must be between 0.01 and 10"},
      {R"("max_tokens":0)", "max_tokens", "0 is not an integer between 1 and 2147483647"},
      {R"("max_tokens":-5)", "max_tokens", "-5 is not an integer between 1 and"},
      {R"("max_tokens":1e30)", "max_tokens", "is not an integer between"},
      {R"("max_tokens":99999999999999999999)", "max_tokens", "is not an integer between"},
      {R"("max_tokens":true)", "max_tokens", "expected an integer, but got a boolean"},
      {R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens", "send only one"},
      {R"("max_tokens":5,"min_tokens":6)", "min_tokens", "6 is more than 'max_tokens', 5"},
      {R"("seed":1.5)", "seed", "1.5 is not an integer"},
      {R"("seed":"7")", "seed", "expected an integer, but got a string"},
      {R"("stop":[1])", "stop", "expected a string or a list of strings"},
      {R"("stop":"")", "stop", "has 0 bytes; it must have 1 to 1024"},
      {R"("stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])", "stop",
       "has 17 strings and may have 16"},
      {R"("logit_bias":{"x":1})", "logit_bias", "'x' is no token id"},
      {R"("logit_bias":{"-1":1})", "logit_bias", "'-1' is no token id"},
      {R"("logit_bias":{"1":101})", "logit_bias.1", "must be between -100 and 100"},
      {R"("stream":"yes")", "stream", "expected a boolean, but got a string"},
      {R"("stream_options":{"include_usage":true})", "stream_options", "when 'stream' is true"},
      {R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage",
       "expected a boolean"},
      {R"("service_tier":"gold")", "service_tier", "'gold' is none of 'priority', 'flex'"},
      {R"("aorta":7)", "aorta", "expected an object, but got an integer"},
      {R"("aorta":{"tier":"top"})", "aorta.tier", "'top' is none of 'urgent', 'high', 'normal'"},
      {R"("aorta":{"timeout_ms":0})", "aorta.timeout_ms", "not an integer between 1 and 86400000"},
      {R"("aorta":{"determinism":"maybe"})", "aorta.determinism", "'prefer', 'strict'"},
      {R"("aorta":{"on_disconnect":"wait"})", "aorta.on_disconnect", "'cancel', 'park', 'finish'"},
      {R"("n":0)", "n", "0 is not an integer between 1 and 128"},
      {R"("n":129)", "n", "129 is not an integer between 1 and 128"},
      {R"("logprobs":5)", "logprobs", "expected a boolean, but got an integer"},
      {R"("top_logprobs":2)", "top_logprobs", "only allowed when 'logprobs' is true"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "between 0 and 20"},
      {R"("stop_token_ids":[-1])", "stop_token_ids", "integers from 0 on"},
      {R"("stop_token_ids":7)", "stop_token_ids", "expected a list of token ids"},
      {R"("guided_json":{"type":"object"})", "guided_json", "not supported yet"},
      {R"("add_generation_prompt":false)", "add_generation_prompt", "leave it out or send true"},
      {R"("tools":[{"type":"function"}])", "tools", "not supported yet"},
      {R"("response_format":{"type":"json_object"})", "response_format", "not supported yet"},
      {R"("audio":{"voice":"x"})", "audio", "not supported yet"},
  };
  for (const Case& c : cases) {
    const auto parsed = parse(c.more, Endpoint::chat);
    const auto* error = std::get_if<ApiError>(&parsed);
    ASSERT_NE(error, nullptr) << c.more << " was taken";
    EXPECT_EQ(error->status, 400);
    EXPECT_EQ(error->param, c.param) << c.more;
    EXPECT_NE(error->message.find(c.sentence), std::string::npos) << error->message;
    EXPECT_NE(error->message.find(c.param), std::string::npos) << error->message;
  }
}

TEST(RequestParser, NamesWhatIsWrongWithTheQuestion) {
  struct Case {
    std::string body, param, sentence;
    Endpoint endpoint = Endpoint::chat;
  };
  const Case cases[] = {
      {"[]", "", "The body must be an object, but it is an array."},
      {"{}", "messages", "Missing required parameter: 'messages'"},
      {"{}", "prompt", "Missing required parameter: 'prompt'", Endpoint::completion},
      {R"({"messages":[]})", "messages", "it is empty"},
      {R"({"messages":{}})", "messages", "expected a list of messages, but got an object"},
      {R"({"messages":["hi"]})", "messages[0]", "expected an object, but got a string"},
      {R"({"messages":[{"content":"x"}]})", "messages[0].role", "Missing required parameter"},
      {R"({"messages":[{"role":"king","content":"x"}]})", "messages[0].role",
       "'king' is none of 'system', 'developer', 'user', 'assistant', 'tool'"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content", "Missing required parameter"},
      {R"({"messages":[{"role":"user","content":5}]})", "messages[0].content",
       "expected a string or a list of text parts, but got an integer"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]})",
       "messages[0].content[0].type", "'image_url'; only parts of type 'text'"},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "messages[0].content[0].text", "expected a string, but got null"},
      {R"({"messages":[{"role":"user","content":["x"]}]})", "messages[0].content[0]",
       "expected an object"},
      {R"({"messages":[{"role":"assistant","content":"","tool_calls":[{}]}]})",
       "messages[0].tool_calls", "not supported yet"},
      {R"({"prompt":""})", "prompt", "must not be empty", Endpoint::completion},
      {R"({"prompt":[]})", "prompt", "must not be empty", Endpoint::completion},
      {R"({"prompt":[1,-1]})", "prompt", "between 0 and 2147483647", Endpoint::completion},
      {R"({"prompt":[1,1.5]})", "prompt", "between 0 and 2147483647", Endpoint::completion},
      {R"({"prompt":["a","b"]})", "prompt", "several prompts", Endpoint::completion},
      {R"({"prompt":7})", "prompt", "expected a string or a list", Endpoint::completion},
      {R"({"prompt":"x","messages":[{"role":"user","content":"x"}]})", "prompt", "not both",
       Endpoint::generate},
  };
  for (const Case& c : cases) {
    const ApiError error = bad_body(c.body, c.endpoint);
    EXPECT_EQ(error.param, c.param) << c.body;
    EXPECT_NE(error.message.find(c.sentence), std::string::npos) << c.body << error.message;
  }
}

TEST(RequestParser, ARetryHasTheSameDigestHoweverItIsSent) {
  const RequestHints key{"", "k1"};
  const auto digest = [&](const std::string& more) { return good(more, key).generate.body_digest; };
  EXPECT_EQ(digest(R"("seed":1,"top_k":2)"), digest(R"("stream":true,"top_k":2,"seed":1)"));
  EXPECT_NE(digest(R"("seed":1)"), digest(R"("seed":2)"));
  EXPECT_EQ(good(R"("seed":1)").generate.body_digest, "");
  EXPECT_EQ(std::get<ApiError>(parse("", Endpoint::chat, {"", std::string(300, 'k')})).param,
            "Idempotency-Key");
}

TEST(RequestParser, SeedsAreDrawnFromTheKey) {
  auto first = good("", {"", "k1"}).generate, again = first, other = good("", {"", "k2"}).generate;
  draw_identity(first);
  draw_identity(again);
  draw_identity(other);
  EXPECT_EQ(first.sampling.seed, again.sampling.seed);
  EXPECT_NE(first.sampling.seed, other.sampling.seed);
  EXPECT_NE(first.id, again.id);
}

}  // namespace
}  // namespace aorta::fronts
