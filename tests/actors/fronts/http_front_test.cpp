// The HTTP front over loopback, against a scripted admission: what clients send and read.
#include "actors/fronts/http_front.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/actors/fronts/http_client.hpp"
#include "tests/actors/fronts/scripted_port.hpp"

namespace aorta::fronts {
namespace {

using nlohmann::json;

const std::string question = R"({"messages":[{"role":"user","content":"Why?"}]})";
const std::string streamed =
    R"({"messages":[{"role":"user","content":"Why?"}],"stream":true,"stream_options":{"include_usage":true}})";
const std::string chat = "/v1/chat/completions";

class HttpFrontTest : public ::testing::Test {
 protected:
  HttpFrontTest() {
    HttpOptions options;
    options.port = 0;
    front.emplace(io, port, options);
    front->start(ConnectionId{1000});
  }
  void answer_at_once(std::vector<std::string> words) {
    port.on_generate = [this, words](const ScriptedPort::Generate& asked) {
      ScriptedPort::answer(*front, asked.connection, asked.request.id, words);
    };
  }
  HttpClient client() { return HttpClient(io, front->port()); }
  // One request on a connection of its own, to the end.
  std::string ask(const std::string& request, const std::string& until = "\r\n\r\n") {
    HttpClient one = client();
    one.send(request);
    run_until(io, [&] { return one.has(until); });
    return one.received;
  }

  boost::asio::io_context io;
  ScriptedPort port;
  std::optional<HttpFront> front;
};

TEST_F(HttpFrontTest, AnswersAChatWhole) {
  answer_at_once({"Be", "cause", "."});
  HttpClient one = client();
  one.send(post(chat, question,
                "X-Request-Id: mine-1\r\nX-Aorta-Tier: urgent\r\nIdempotency-Key: k\r\n"));
  run_until(io, [&] { return one.has("same_numerics\":true}}"); });
  EXPECT_TRUE(one.has("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(one.has("X-Request-Id: mine-1\r\n"));
  const json body = json::parse(one.body());
  const RequestId id = port.generated.at(0).request.id;
  EXPECT_EQ(port.generated[0].request.tier, mesh::Tier::urgent);
  EXPECT_EQ(port.generated[0].request.idempotency_key, "k");
  EXPECT_EQ(body["id"], "chatcmpl-" + id.to_string());
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "smollm2");
  EXPECT_EQ(body["choices"][0]["message"]["content"], "Because.");
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(body["usage"]["total_tokens"], 8);
  EXPECT_EQ(body["aorta"]["request_id"], id.to_string());
  EXPECT_EQ(body["aorta"]["epochs"], 1);
  EXPECT_TRUE(port.gone_connections.empty());
}

TEST_F(HttpFrontTest, StreamsAChat) {
  answer_at_once({"Be", "", "cause"});
  HttpClient one = client();
  one.send(post(chat, streamed));
  run_until(io, [&] { return one.has("0\r\n\r\n"); });
  EXPECT_TRUE(one.has("Content-Type: text/event-stream"));
  const std::string id = port.generated.at(0).request.id.to_string();
  EXPECT_TRUE(one.has("X-Request-Id: " + id + "\r\n"));
  std::vector<std::string> ids;
  std::vector<json> chunks;
  std::istringstream lines(one.body());
  bool done = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("id: ")) ids.push_back(line.substr(4, line.find('-') - 4));
    done = line == "data: [DONE]";
    if (line.starts_with("data: {")) chunks.push_back(json::parse(line.substr(6)));
    if (done) break;
  }
  EXPECT_TRUE(done);
  // Role, two texts (the empty one is not sent), the reason, the usage.
  EXPECT_EQ(ids, (std::vector<std::string>{"0", "1", "3", "3", "3"}));
  ASSERT_EQ(chunks.size(), 5u);
  EXPECT_EQ(chunks[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(chunks[1]["choices"][0]["delta"]["content"], "Be");
  EXPECT_EQ(chunks[2]["choices"][0]["delta"]["content"], "cause");
  EXPECT_EQ(chunks[2]["choices"][0]["finish_reason"], nullptr);
  EXPECT_EQ(chunks[2]["usage"], nullptr);
  EXPECT_EQ(chunks[3]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(chunks[3]["aorta"]["seed"], 7);
  EXPECT_TRUE(chunks[4]["choices"].empty());
  EXPECT_EQ(chunks[4]["usage"]["completion_tokens"], 3);
  for (const json& chunk : chunks) EXPECT_EQ(chunk["id"], "chatcmpl-" + id);
}

TEST_F(HttpFrontTest, AnswersACompletion) {
  answer_at_once({" upon", " a time"});
  HttpClient one = client();
  one.send(post("/v1/completions", R"({"prompt":"Once"})"));
  run_until(io, [&] { return one.has("same_numerics\":true}}"); });
  const json body = json::parse(one.body());
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["choices"][0]["text"], " upon a time");
  EXPECT_EQ(port.generated.at(0).request.prompt, "Once");
}

TEST_F(HttpFrontTest, AConnectionCarriesManyRequests) {
  answer_at_once({"x"});
  HttpClient one = client();
  for (std::size_t n = 1; n <= 3; ++n) {
    one.send(post(chat, n % 2 ? question : streamed));
    run_until(io, [&] { return port.generated.size() == n && one.count("same_numerics") == n; });
  }
  EXPECT_FALSE(one.ended);
}

TEST_F(HttpFrontTest, PipelinedRequestsAreAnsweredInOrder) {
  HttpClient one = client();
  one.send(get("/health") + post(chat, question) + get("/v1/models") + get("/nowhere"));
  run_until(io, [&] { return !port.generated.empty() && one.has("{\"status\":\"ok\"}"); });
  EXPECT_FALSE(one.has("\"object\":\"list\""));  // the second is not answered yet
  const auto& asked = port.generated[0];
  ScriptedPort::answer(*front, asked.connection, asked.request.id, {"Because"});
  run_until(io, [&] { return one.has("not_found"); });
  EXPECT_LT(one.received.find("\"Because\""), one.received.find("\"object\":\"list\""));
}

TEST_F(HttpFrontTest, ServesWhatOperatorsRead) {
  EXPECT_NE(ask(get("/health"), "}").find("200 OK"), std::string::npos);
  EXPECT_NE(ask(get("/v1/models"), "]}").find("\"id\":\"smollm2\",\"object\":\"model\""),
            std::string::npos);
  EXPECT_NE(ask(get("/v1/models/smollm2"), "}").find("200 OK"), std::string::npos);
  EXPECT_NE(ask(get("/v1/models/other"), "}}").find("model_not_found"), std::string::npos);
  const std::string metrics = ask(get("/metrics"), "aorta_requests_total{tier=\"high\"} 3\n");
  EXPECT_NE(metrics.find("# TYPE aorta_requests_total counter\n"), std::string::npos) << metrics;
  EXPECT_NE(ask(get("/ready"), "}").find("200 OK"), std::string::npos);
  port.ready = {false, "No executor is ready.", {"smollm2"}, 2};
  const std::string unready = ask(get("/ready"), "ready.\"}");
  EXPECT_NE(unready.find("503 Service Unavailable"), std::string::npos);
}

TEST_F(HttpFrontTest, HeadHasNoBody) {
  HttpClient one = client();
  one.send("HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n" + get("/metrics"));
  run_until(io, [&] { return one.has("aorta_requests_total{tier=\"high\"} 3\n"); });
  EXPECT_TRUE(one.has("Content-Length: 15\r\n"));
  EXPECT_FALSE(one.has("status"));
}

TEST_F(HttpFrontTest, WrongPathsAndMethodsAreErrors) {
  const std::string missing = ask(get("/v2/chat"), "}}");
  EXPECT_NE(missing.find("404 Not Found"), std::string::npos);
  EXPECT_NE(missing.find(R"("type":"invalid_request_error")"), std::string::npos);
  const std::string wrong = ask(get(chat), "}}");
  EXPECT_NE(wrong.find("405 Method Not Allowed"), std::string::npos);
  EXPECT_NE(wrong.find("Allow: POST, OPTIONS\r\n"), std::string::npos);
  EXPECT_NE(ask(post("/v1/models", "{}"), "}}").find("405"), std::string::npos);
  const std::string options = ask("OPTIONS " + chat + " HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_NE(options.find("204 No Content"), std::string::npos);
  EXPECT_EQ(options.find("Access-Control"), std::string::npos);
  const std::string all = ask("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_NE(all.find("Allow: GET, HEAD, POST, OPTIONS\r\n"), std::string::npos);
}

TEST_F(HttpFrontTest, PagesOfNamedOriginsMayCall) {
  HttpOptions with_origins;
  with_origins.port = 0;
  with_origins.cors_origins = "https://chat.example.org/, http://localhost:3000";
  front.emplace(io, port, with_origins);
  front->start(ConnectionId{1000});
  const std::string asks =
      "Access-Control-Request-Method: POST\r\n"
      "Access-Control-Request-Headers: authorization,x-stainless-os\r\n";
  const auto preflight = [&](const std::string& origin) {
    return ask("OPTIONS " + chat + " HTTP/1.1\r\nHost: test\r\nOrigin: " + origin + "\r\n" + asks +
               "\r\n");
  };
  const std::string allowed = preflight("http://localhost:3000");
  for (const char* header :
       {"Access-Control-Allow-Origin: http://localhost:3000\r\n",
        "Access-Control-Allow-Headers: authorization,x-stainless-os\r\n",
        "Access-Control-Allow-Methods: POST, OPTIONS\r\n", "Vary: Origin\r\n"}) {
    EXPECT_NE(allowed.find(header), std::string::npos) << header << allowed;
  }
  EXPECT_EQ(preflight("http://localhost:3001").find("Access-Control"), std::string::npos);
  const std::string read = ask(get("/health", "Origin: https://chat.example.org\r\n"), "}");
  EXPECT_NE(read.find("Access-Control-Allow-Origin: https://chat.example.org"), std::string::npos);
  EXPECT_NE(read.find("Access-Control-Expose-Headers: X-Request-Id"), std::string::npos);
}

TEST_F(HttpFrontTest, BadBodiesAreErrorsAndTheConnectionGoesOn) {
  HttpClient one = client();
  one.send(post(chat, "{nope"));
  run_until(io, [&] { return one.has("}}"); });
  EXPECT_TRUE(one.has("400 Bad Request"));
  EXPECT_TRUE(one.has("\"code\":\"invalid_json\""));
  one.send(post(chat, R"({"messages":[],"x":1})"));
  run_until(io, [&] { return one.has("\"param\":\"messages\""); });
  answer_at_once({"x"});
  one.send(post(chat, R"({"messages":[{"role":"user","content":"x"}],"foo\r\nbar":1,"baz":2})"));
  run_until(io, [&] { return one.has("same_numerics"); });
  EXPECT_TRUE(one.has("x-aorta-ignored: baz, foo??bar\r\n"));
}

TEST_F(HttpFrontTest, RefusalsCarryWhenToTryAgain) {
  port.on_generate = [this](const ScriptedPort::Generate& asked) {
    front->deliver(asked.connection, admission::Rejected{asked.request.id, 429, "queue_full",
                                                         "The queue is full.", "", 1200});
  };
  const std::string answer = ask(post(chat, streamed), "}}");
  EXPECT_NE(answer.find("429 Too Many Requests"), std::string::npos);
  EXPECT_NE(answer.find("Retry-After: 2\r\nretry-after-ms: 1200\r\n"), std::string::npos);
  EXPECT_NE(answer.find(R"("type":"rate_limit_error","param":null,"code":"queue_full")"),
            std::string::npos);
}

TEST_F(HttpFrontTest, AnErrorInMidStreamIsAnEventAndACleanEnd) {
  port.on_generate = [this](const ScriptedPort::Generate& asked) {
    const RequestId id = asked.request.id;
    front->deliver(asked.connection, admission::Accepted{id, "smollm2", 7});
    front->deliver(asked.connection, admission::Waiting{id});
    front->deliver(asked.connection, admission::Delta{id, {0}, {1}, "x"});
    front->deliver(asked.connection, admission::Failed{id, 500, "poison", "It broke."});
    front->deliver(asked.connection, admission::Delta{id, {1}, {1}, "after the end"});
  };
  HttpClient one = client();
  one.send(post(chat, streamed));
  run_until(io, [&] { return one.has("0\r\n\r\n"); });
  EXPECT_TRUE(one.has(": keep-alive\n"));
  EXPECT_FALSE(one.has(": keep-alive\n\n"));
  EXPECT_TRUE(one.has(R"(data: {"error":{"message":"It broke.","type":"server_error")"));
  EXPECT_FALSE(one.has("after the end"));
  EXPECT_FALSE(one.ended);
}

TEST_F(HttpFrontTest, ResumesFromTheLastEvent) {
  const RequestId id{1, 2};
  port.on_resume = [this](const ScriptedPort::Resume& asked) {
    const RequestId request = asked.request;
    front->deliver(asked.connection, admission::Accepted{request, "smollm2", 7});
    front->deliver(asked.connection, admission::Delta{request, asked.next.at(0), {1, 2}, "on"});
    front->deliver(asked.connection, admission::Done{request, "stop", {}, 2, true});
  };
  const std::string path = "/v1/aorta/requests/chatcmpl-" + id.to_string() + "/stream";
  const std::string answer = ask(get(path, "Last-Event-ID: 5\r\n"), "0\r\n\r\n");
  EXPECT_EQ(port.resumed.at(0).request, id);
  EXPECT_EQ(port.resumed.at(0).next, (std::vector<TokenIndex>{{5}}));
  EXPECT_NE(answer.find("id: 5\ndata: "), std::string::npos);
  EXPECT_NE(answer.find("id: 7\ndata: "), std::string::npos);
  for (const char* wrong : {"five", "5,", ",5", "5 6", "-1", "99999999999"}) {
    const std::string header = std::string("Last-Event-ID: ") + wrong + "\r\n";
    EXPECT_NE(ask(get(path, header), "}}").find("400"), std::string::npos) << wrong;
  }
}

TEST_F(HttpFrontTest, AResumedAnswerKeepsItsShape) {
  port.on_resume = [this](const ScriptedPort::Resume& asked) {
    const RequestId request = asked.request;
    front->deliver(asked.connection, admission::Accepted{.request = request, .chat = false});
    front->deliver(asked.connection, admission::Delta{request, {0}, {1, 2}, "on"});
    front->deliver(asked.connection, admission::Done{request, "stop", {}, 2, true});
  };
  const std::string path = "/v1/aorta/requests/" + RequestId{1, 2}.to_string() + "/stream";
  const std::string answer = ask(get(path), "0\r\n\r\n");
  EXPECT_TRUE(port.resumed.at(0).next.empty());
  EXPECT_NE(answer.find(R"("id":"cmpl-)"), std::string::npos);
  EXPECT_NE(answer.find(R"("text":"on")"), std::string::npos);
}

TEST_F(HttpFrontTest, TellsOfOneRequest) {
  port.known[{1, 2}] = R"({"state":"done"})";
  const std::string id = RequestId{1, 2}.to_string();
  EXPECT_NE(ask(get("/v1/aorta/requests/" + id), "done").find("200 OK"), std::string::npos);
  EXPECT_NE(ask(get("/v1/aorta/requests/123"), "}}").find("request_not_found"), std::string::npos);
}

TEST_F(HttpFrontTest, OldClientsGetNoChunks) {
  answer_at_once({"x"});
  HttpClient one = client();
  one.send("POST " + chat + " HTTP/1.0\r\nContent-Length: " + std::to_string(streamed.size()) +
           "\r\n\r\n" + streamed);
  run_until(io, [&] { return one.ended; });
  EXPECT_FALSE(one.has("Transfer-Encoding"));
  EXPECT_TRUE(one.has("data: [DONE]\n\n"));
}

TEST_F(HttpFrontTest, APortInUseIsASentence) {
  HttpOptions options;
  options.port = front->port();
  try {
    HttpFront(io, port, options).start(ConnectionId{1});
    FAIL() << "two listen at one port";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("the port is in use"), std::string::npos);
  }
  options.bind = "localhost";
  EXPECT_THROW(HttpFront(io, port, options).start(ConnectionId{1}), std::runtime_error);
}

}  // namespace
}  // namespace aorta::fronts
