// The ZeroMQ front: what clients ask and are told, and what becomes of garbage.
#include "engine/fake/fake_text_model.hpp"
#include "tests/actors/fronts/zmq_fixture.hpp"

namespace aorta::fronts {
namespace {

TEST_F(ZmqFrontTest, StreamsAnAnswer) {
  open();
  port.on_generate = [this](const ScriptedPort::Generate& asked) {
    ScriptedPort::answer(*front, asked.connection, asked.request.id, {"Be", "cause"});
  };
  auto one = client();
  json body = question("q1");
  body["mystery"] = 1;
  one->ask("generate", body);
  until([&] { return one->replies.size() == 4; });
  EXPECT_EQ(one->verbs(), (std::vector<std::string>{"accepted", "tokens", "tokens", "done"}));
  const std::string request = port.generated.at(0).request.id.to_string();
  for (const Reply& reply : one->replies) {
    EXPECT_EQ(reply.body["id"], "q1");
    EXPECT_EQ(reply.body["request"], request);
  }
  EXPECT_EQ(one->replies[0].body["model"], "smollm2");
  EXPECT_EQ(one->replies[0].body["seed"], 7);
  EXPECT_EQ(one->replies[0].body["ignored"], json({"mystery"}));
  EXPECT_EQ(one->replies[2].body["index"], 1);
  EXPECT_EQ(one->replies[2].body["ids"], json({100}));
  EXPECT_EQ(one->replies[2].body["text"], "cause");
  EXPECT_EQ(one->last()["finish_reason"], "stop");
  EXPECT_EQ(one->last()["usage"]["completion_tokens"], 2);
  EXPECT_EQ(figure("aorta_zmq_streams"), 0);
  EXPECT_EQ(figure("aorta_zmq_clients"), 0);  // nothing open: nothing remembered
}

TEST_F(ZmqFrontTest, OneSocketCarriesManyStreams) {
  open();
  auto one = client();
  for (const char* id : {"a", "b"}) one->ask("generate", question(id));
  until([&] { return port.generated.size() == 2; });
  EXPECT_NE(port.generated[0].connection, port.generated[1].connection);
  for (int n : {1, 0}) {
    const auto& asked = port.generated[n];
    ScriptedPort::answer(*front, asked.connection, asked.request.id, {"x"});
  }
  until([&] { return one->replies.size() == 6; });
  EXPECT_EQ(one->replies[0].body["id"], "b");
  EXPECT_EQ(one->replies[3].body["id"], "a");
}

TEST_F(ZmqFrontTest, ResumesAndCancels) {
  open();
  auto one = client(), other = client();
  one->ask("generate", question("a"));
  until([&] { return !port.generated.empty(); });
  const auto& asked = port.generated[0];
  const RequestId id = asked.request.id;
  front->deliver(asked.connection, admission::Accepted{id, "smollm2", 7});
  // By its own client: on the stream's connection, whose end answers it.
  one->ask("cancel", {{"request", id.to_string()}});
  until([&] { return port.cancelled.size() == 1; });
  EXPECT_EQ(port.cancelled[0].connection, asked.connection);
  // By another one: answered there, once.
  other->ask("cancel", {{"request", id.to_string()}, {"id", "c"}});
  until([&] { return port.cancelled.size() == 2; });
  EXPECT_NE(port.cancelled[1].connection, asked.connection);
  front->deliver(port.cancelled[1].connection, admission::Done{id, "cancelled", {}, 1, true});
  until([&] { return !other->replies.empty(); });
  EXPECT_EQ(other->replies[0].verb, "done");
  EXPECT_EQ(other->last()["id"], "c");
  EXPECT_EQ(other->last()["finish_reason"], "cancelled");

  other->ask("resume", {{"request", id.to_string()}, {"next_index", 5}, {"id", "r"}});
  until([&] { return port.resumed.size() == 1; });
  EXPECT_EQ(port.resumed[0].request, id);
  EXPECT_EQ(port.resumed[0].next, (std::vector<TokenIndex>{{5}}));
  front->deliver(port.resumed[0].connection,
                 admission::Rejected{id, 404, "request_not_found", "Unknown.", "", 0});
  until([&] { return other->replies.size() == 2; });
  EXPECT_EQ(other->replies[1].verb, "rejected");
  EXPECT_EQ(other->last()["status"], 404);
}

TEST_F(ZmqFrontTest, SeveralChoicesAreOneStream) {
  open();
  auto one = client();
  one->ask("generate", question("q"));
  until([&] { return !port.generated.empty(); });
  const auto& [connection, asked] = port.generated[0];
  const auto tell = [&](const admission::ClientEvent& event) { front->deliver(connection, event); };
  tell(admission::Accepted{.request = asked.id, .choices = 2});
  admission::Delta delta{.request = asked.id, .ids = {1}, .text = "x", .choice = 1};
  delta.reasoning = "hm";
  delta.logprobs = {{{"x", -0.5f}, {}}};
  tell(delta);
  tell(admission::Done{.request = asked.id, .finish_reason = "stop", .choice = 1});
  until([&] { return one->replies.size() == 3; });
  EXPECT_EQ(one->replies[0].body["choices"], 2);
  EXPECT_EQ(one->replies[1].body["choice"], 1);
  EXPECT_EQ(one->replies[1].body["reasoning"], "hm");
  EXPECT_EQ(one->replies[1].body["logprobs"][0]["bytes"], json({120}));
  EXPECT_EQ(figure("aorta_zmq_streams"), 1);  // the other goes on
  tell(admission::Failed{.request = asked.id, .code = "poison", .choice = 0});
  until([&] { return one->replies.size() == 4; });
  EXPECT_EQ(one->last()["choice"], 0);
  EXPECT_EQ(figure("aorta_zmq_streams"), 0);

  one->ask("resume", {{"request", asked.id.to_string()}, {"next_index", {3, 0}}, {"id", "r"}});
  until([&] { return port.resumed.size() == 1; });
  EXPECT_EQ(port.resumed[0].next, (std::vector<TokenIndex>{{3}, {0}}));
  one->ask("resume", {{"request", asked.id.to_string()}, {"next_index", {3, -1}}});
  until([&] { return one->replies.size() == 5; });
  EXPECT_EQ(one->last()["param"], "next_index");
}

TEST_F(ZmqFrontTest, AResumeCarriesItsRequestAlong) {
  open();
  auto one = client();
  const std::string id(32, 'a');
  json carried = question("q");
  carried["max_tokens"] = 9;
  one->ask("resume", {{"request", id},
                      {"next_index", {2, 3}},
                      {"delivered_hash", {"00000000000000ab", "cbf29ce484222325"}},
                      {"life", 257},
                      {"generate", carried},
                      {"seed", ~std::uint64_t{0}},
                      {"id", "r"}});
  until([&] { return port.resumed.size() == 1; });
  const admission::ResumeRequest& resume = port.resumed[0].whole;
  EXPECT_EQ(resume.cursors.at(1).next, TokenIndex{3});
  EXPECT_EQ(resume.cursors.at(0).delivered_hash, 0xabu);
  EXPECT_EQ(resume.life, 257u);
  EXPECT_EQ(resume.carried.value().max_tokens, 9u);
  EXPECT_EQ(resume.carried->sampling.seed, ~std::uint64_t{0});
  EXPECT_EQ(resume.carried->tenant, resume.tenant);
  front->deliver(port.resumed[0].connection,
                 admission::Accepted{.request = resume.request, .life = 512});
  until([&] { return one->replies.size() == 1; });
  EXPECT_EQ(one->last()["life"], 512);
}

TEST_F(ZmqFrontTest, AResumeThatCannotBeReadIsRefused) {
  open();
  auto one = client();
  const std::string id(32, 'a');
  const std::pair<json, const char*> wrong[] = {
      {{{"delivered_hash", "12"}}, "delivered_hash"},
      {{{"delivered_hash", {"00000000000000ab", "00000000000000ab"}}}, "delivered_hash"},
      {{{"life", -1}}, "life"},
      {{{"generate", question("q")}}, "seed"},  // its draws would be others
      {{{"generate", "q"}, {"seed", 1}}, "generate."},
      {{{"generate", {{"max_tokens", 1}}}, {"seed", 1}}, "generate.messages"}};
  std::size_t count = 0;
  for (auto [ask, param] : wrong) {
    ask["request"] = id;
    one->ask("resume", ask);
    until([&] { return one->replies.size() == count + 1; });
    ++count;
    EXPECT_EQ(one->replies.back().verb, "rejected") << ask;
    EXPECT_EQ(one->last()["param"], param) << ask;
  }
  EXPECT_TRUE(port.resumed.empty());
  json keyed = question("q");  // the seed is drawn from the key
  keyed["idempotency_key"] = "k";
  one->ask("resume", {{"request", id}, {"generate", keyed}});
  one->ask("generate", keyed);
  until([&] { return port.resumed.size() == 1 && port.generated.size() == 1; });
  EXPECT_EQ(port.resumed[0].whole.carried->sampling.seed, port.generated[0].request.sampling.seed);
  EXPECT_EQ(port.resumed[0].whole.carried->body_digest, port.generated[0].request.body_digest);
}

TEST_F(ZmqFrontTest, TokenizesToo) {
  open();
  port.model = engine::make_fake_text_model({});
  auto one = client();
  one->ask("tokenize", {{"prompt", "hi"}, {"id", "t"}, {"colour", 1}});
  one->ask("detokenize", {{"tokens", {104, 105}}});
  one->ask("detokenize", {{"tokens", "x"}});
  until([&] { return one->replies.size() == 3; });
  EXPECT_EQ(one->replies[0].verb, "tokenize");
  EXPECT_EQ(one->replies[0].body["tokens"], json({104, 105}));
  EXPECT_EQ(one->replies[0].body["ignored"], json({"colour"}));
  EXPECT_EQ(one->replies[1].body["prompt"], "hi");
  EXPECT_EQ(one->replies[2].body["param"], "tokens");
}

TEST_F(ZmqFrontTest, TellsModelsAndStatus) {
  open();
  auto one = client();
  one->ask("models", {{"id", "m"}});
  one->ask("status", json::object());
  until([&] { return one->replies.size() == 2; });
  EXPECT_EQ(one->replies[0].body, json({{"id", "m"}, {"models", {"smollm2"}}}));
  EXPECT_EQ(one->replies[1].body["ready"], true);
}

TEST_F(ZmqFrontTest, GarbageIsAnsweredWithASentence) {
  open();
  auto one = client();
  const std::string map = mesh::encode_client(json::object());
  const std::string deep(100, '\x91');
  const std::pair<std::vector<std::string_view>, std::string> cases[] = {
      {{"hello"}, "1 came"},
      {{"AOR1", "models"}, "2 came"},
      {{"AOR1", "models", map, "more"}, "4 came"},
      {{"", "AOR1", "models"}, "the first frame was something else"},
      {{"AOR9", "models", map}, "the first frame was something else"},
      {{"AOR1", "delete", map}, "Unknown verb 'delete'"},
      {{"AOR1", "\xff\xfe", map}, "Unknown verb '(not text)'"},
      {{"AOR1", "models", ""}, "empty"},
      {{"AOR1", "models", "\xc1"}, "not msgpack"},
      {{"AOR1", "models", "\x01"}, "must be a msgpack map"},
      {{"AOR1", "models", "\x81"}, "cut off"},
      {{"AOR1", "generate", deep}, "deep"},
      {{"AOR1", "ack", map}, "Invalid 'request'"},
  };
  std::size_t n = 0;
  for (const auto& [frames, sentence] : cases) {
    switch (frames.size()) {
      case 1:
        one->raw({frames[0]});
        break;
      case 2:
        one->raw({frames[0], frames[1]});
        break;
      case 3:
        one->raw({frames[0], frames[1], frames[2]});
        break;
      default:
        one->raw({frames[0], frames[1], frames[2], frames[3]});
    }
    ++n;
    until([&] { return one->replies.size() == n; });
    EXPECT_EQ(one->replies.back().verb, "error");
    EXPECT_NE(one->last()["message"].get<std::string>().find(sentence), std::string::npos)
        << one->last();
  }
  EXPECT_EQ(figure("aorta_zmq_garbage_total"), 12);  // the ack is a message, if a useless one
  one->raw({"1", "2", "3", "4", "5", "6", "7", "8", "9"});  // not even counted as frames
  one->ask("models", json::object());
  until([&] { return one->replies.size() == n + 1; });
  EXPECT_EQ(one->replies.back().verb, "models");
}

TEST_F(ZmqFrontTest, WrongRequestsAreRejectedWithTheirName) {
  options.max_streams_per_peer = 1;
  open();
  auto one = client();
  const auto rejection = [&](const std::string& verb, const json& body) {
    const std::size_t before = one->replies.size();
    one->ask(verb, body);
    until([&] { return one->replies.size() > before; });
    EXPECT_EQ(one->replies.back().verb, "rejected");
    return one->last();
  };
  EXPECT_EQ(rejection("generate", {{"id", "x"}})["param"], "messages");
  EXPECT_EQ(one->last()["id"], "x");
  EXPECT_EQ(rejection("generate", {{"id", 7}})["param"], "id");
  EXPECT_EQ(rejection("generate", {{"id", std::string(129, 'x')}})["param"], "id");
  EXPECT_EQ(rejection("cancel", {{"request", "12"}})["param"], "request");
  EXPECT_EQ(
      rejection("resume", {{"request", RequestId{}.to_string()}, {"next_index", -1}})["param"],
      "next_index");
  json bad = question();
  bad["acks"] = "yes";
  EXPECT_EQ(rejection("generate", bad)["param"], "acks");
  one->ask("generate", question("a"));
  EXPECT_EQ(rejection("generate", question("b"))["code"], "too_many_requests");
  EXPECT_EQ(one->last()["retry_after_ms"], 1000);
}

TEST_F(ZmqFrontTest, NamesOfOpenStreamsAndClientsAreLimited) {
  options.max_peers = 1;
  open();
  auto one = client(), other = client();
  one->ask("generate", question("a"));
  one->ask("generate", question("a"));
  until([&] { return one->replies.size() == 1; });
  EXPECT_EQ(one->last()["code"], "id_in_use");
  other->ask("generate", question("a"));
  until([&] { return other->replies.size() == 1; });
  EXPECT_EQ(other->last()["code"], "too_many_connections");
}

TEST_F(ZmqFrontTest, AClientThatLeavesIsGone) {
  open();
  auto one = client();
  one->ask("generate", question());
  until([&] { return !port.generated.empty(); });
  one.reset();
  wait_for_gone(port.generated[0].connection);
  EXPECT_EQ(figure("aorta_zmq_clients"), 0);
}

TEST_F(ZmqFrontTest, APromiseOfAcksIsHeldTo) {
  options.ack_timeout_ms = 1;
  open();
  auto one = client();
  json body = question();
  body["acks"] = true;
  one->ask("generate", body);
  until([&] { return !port.generated.empty(); });
  const auto& asked = port.generated[0];
  front->deliver(asked.connection, admission::Accepted{asked.request.id, "smollm2", 7});
  until([&] { return !port.gone_connections.empty(); });
  EXPECT_EQ(figure("aorta_zmq_streams"), 0);
}

TEST_F(ZmqFrontTest, AcksOfTheFutureAreErrors) {
  open();
  auto one = client();
  one->ask("generate", question());
  until([&] { return !port.generated.empty(); });
  const auto& asked = port.generated[0];
  const RequestId id = asked.request.id;
  front->deliver(asked.connection, admission::Accepted{id, "smollm2", 7});
  front->deliver(asked.connection, admission::Delta{id, {0}, {1, 2}, "x"});
  one->ask("ack", {{"request", id.to_string()}, {"next_index", 2}});
  one->ask("ack", {{"request", id.to_string()}, {"next_index", 3}});
  until([&] { return one->replies.size() == 3; });
  EXPECT_EQ(one->replies[2].verb, "error");
  EXPECT_TRUE(port.gone_connections.empty());
}

TEST_F(ZmqFrontTest, DrainingWaitsForWhatIsOpen) {
  open();
  auto one = client();
  one->ask("generate", question());
  until([&] { return !port.generated.empty(); });
  bool empty = false;
  front->drain([&] { empty = true; });
  loop.io().restart();
  loop.io().poll();
  EXPECT_FALSE(empty);
  const auto& asked = port.generated[0];
  ScriptedPort::answer(*front, asked.connection, asked.request.id, {"x"});
  until([&] { return empty && one->replies.size() == 3; });
}

TEST_F(ZmqFrontTest, ClosingTellsAllGone) {
  open();
  auto one = client();
  one->ask("generate", question());
  until([&] { return !port.generated.empty(); });
  front->close();
  EXPECT_EQ(port.gone_connections, std::vector{port.generated[0].connection});
  front->deliver(port.generated[0].connection, admission::Waiting{});  // too late
}

TEST_F(ZmqFrontTest, APortInUseIsASentence) {
  open();
  ZmqOptions same = options;
  same.binds = front->endpoints();
  try {
    ZmqFront(loop, port, same).start(ConnectionId{1});
    FAIL() << "two listen at one port";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("in use"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace aorta::fronts
