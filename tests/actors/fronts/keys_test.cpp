// Both fronts with API keys: who has none, a wrong one, another tenant's.
#include <gtest/gtest.h>

#include "tests/actors/fronts/zmq_fixture.hpp"

#include "actors/fronts/http_front.hpp"
#include "actors/fronts/key_check.hpp"

namespace aorta::fronts {
namespace {

std::shared_ptr<mesh::ApiKeys> two_keys() {
  return std::make_shared<mesh::ApiKeys>(std::vector<mesh::ApiKey>{
      *mesh::make_entry("sk-ann", "ann", ""), *mesh::make_entry("sk-bob", "bob", "")});
}

const std::string chat = "/v1/chat/completions";
const std::string body = R"({"messages":[{"role":"user","content":"Why?"}]})";
std::string bearer(const std::string& key) { return "Authorization: Bearer " + key + "\r\n"; }

class HttpKeysTest : public ::testing::Test {
 protected:
  HttpKeysTest() {
    HttpOptions options;
    options.port = 0;
    front.emplace(io, port, options, keys);
    front->start(ConnectionId{1000});
    port.on_generate = [this](const ScriptedPort::Generate& asked) {
      ScriptedPort::answer(*front, asked.connection, asked.request.id, {"Yes"});
    };
  }
  std::string ask(const std::string& request, const std::string& until = "\r\n\r\n") {
    HttpClient one(io, front->port());
    one.send(request);
    run_until(io, [&] { return one.has(until); });
    return one.received;
  }

  boost::asio::io_context io;
  ScriptedPort port;
  std::shared_ptr<mesh::ApiKeys> keys = two_keys();
  std::optional<HttpFront> front;
};

TEST_F(HttpKeysTest, TheTenantIsTheKeys) {
  EXPECT_TRUE(ask(post(chat, body, bearer("sk-ann"))).starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(
      ask(post(chat, body, "authorization: bearer  sk-bob\r\n")).starts_with("HTTP/1.1 200"));
  ASSERT_EQ(port.generated.size(), 2u);
  EXPECT_EQ(port.generated[0].request.tenant, "ann");
  EXPECT_EQ(port.generated[1].request.tenant, "bob");
}

TEST_F(HttpKeysTest, NobodysKeyIsRefusedInOpenAisWords) {
  for (const std::string& header : {std::string(), bearer("sk-eve"), bearer(""),
                                    std::string("Authorization: Basic c2stYW5u\r\n")}) {
    const std::string answer = ask(post(chat, body, header), "}}");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n")) << answer;
    EXPECT_NE(answer.find("WWW-Authenticate: Bearer\r\n"), std::string::npos);
    EXPECT_NE(answer.find("_api_key"), std::string::npos);
    EXPECT_EQ(answer.find("sk-eve"), std::string::npos) << "never repeated";
  }
  EXPECT_TRUE(port.generated.empty());
}

TEST_F(HttpKeysTest, AStrangersBodyIsNotWaitedFor) {
  const std::string answer =
      ask("POST " + chat + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n{");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401"));
}

TEST_F(HttpKeysTest, ProbesNeedNoKeyAndFiguresDo) {
  for (const char* path : {"/health", "/ready", "/health?verbose"}) {
    EXPECT_FALSE(ask(get(path)).starts_with("HTTP/1.1 401")) << path;
  }
  for (const char* path : {"/metrics", "/v1/models", "/healthy", "/nothing", "/v1/../health"}) {
    EXPECT_TRUE(ask(get(path)).starts_with("HTTP/1.1 401")) << path;
  }
  EXPECT_TRUE(ask(get("/v1/models", bearer("sk-ann"))).starts_with("HTTP/1.1 200"));
  const std::string head = ask("HEAD /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << "no body answers HEAD";
}

TEST_F(HttpKeysTest, KeysChangeWhileItRuns) {
  *keys = mesh::ApiKeys({*mesh::make_entry("sk-new", "new", "")});
  EXPECT_TRUE(ask(post(chat, body, bearer("sk-ann"))).starts_with("HTTP/1.1 401"));
  EXPECT_TRUE(ask(post(chat, body, bearer("sk-new"))).starts_with("HTTP/1.1 200"));
}

class ZmqKeysTest : public ZmqFrontTest {
 protected:
  ZmqKeysTest() {
    front.emplace(loop, port, options, two_keys());
    front->start(ConnectionId{500});
  }
  Reply ask(const std::string& verb, json fields) {
    auto one = client();
    one->ask(verb, fields);
    run_until(loop.io(), [&] { return !one->replies.empty(); });
    return one->replies.at(0);
  }
};

TEST_F(ZmqKeysTest, TheTenantIsTheKeys) {
  json asked = question();
  asked["api_key"] = "sk-bob";
  auto one = client();
  one->ask("generate", asked);
  run_until(loop.io(), [&] { return !port.generated.empty(); });
  EXPECT_EQ(port.generated.at(0).request.tenant, "bob");
}

TEST_F(ZmqKeysTest, NobodysKeyIsRefused) {
  json asked = question("mine");
  for (const char* key : {"", "sk-eve"}) {
    asked["api_key"] = key;
    const Reply reply = ask("generate", asked);
    EXPECT_EQ(reply.verb, "rejected");
    EXPECT_EQ(reply.body["status"], 401);
    EXPECT_EQ(reply.body["id"], "mine");
  }
  for (const char* verb : {"generate", "resume", "cancel", "models"}) {
    EXPECT_EQ(ask(verb, question()).body["status"], 401) << verb;
  }
  EXPECT_EQ(ask("status", json::object()).verb, "status");
  EXPECT_TRUE(port.generated.empty());
}

TEST(KeyCheck, OnlyABearerIsAKey) {
  EXPECT_EQ(bearer_key("Bearer sk-1"), "sk-1");
  EXPECT_EQ(bearer_key("BEARER   sk-1"), "sk-1");
  EXPECT_EQ(bearer_key("Bearer"), "");
  EXPECT_EQ(bearer_key("Bearer  "), "");
  EXPECT_EQ(bearer_key("sk-1"), "");
}

}  // namespace
}  // namespace aorta::fronts
