// The C++ client against a scripted server.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <aorta/client.hpp>
#include <atomic>
#include <thread>

#include "tests/clients/scripted_server.hpp"

namespace aorta::client {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

Options at(const ScriptedServer& server, int retries = 3) {
  Options options;
  options.address = server.address();
  options.retries = retries;
  return options;
}

// What a server does that is cut after one token, and then knows where it was.
std::vector<Ask> cut_once(const Ask& ask) {
  if (ask.first == "generate") return {accepted, tokens(0, "Be"), cut};
  return {accepted, tokens(1, "cause"), done()};
}

TEST(CppClient, StreamsAnAnswer) {
  ScriptedServer server([](const Ask&) {
    return std::vector<Ask>{
        accepted, {"waiting", json::object()}, tokens(0, "Be"), tokens(1, "cause"), done()};
  });
  Client client(at(server, 0));
  Stream stream =
      client.generate(Request("Why?").set("max_tokens", 2).set("tier", "urgent").set("top_k", 3));
  std::string text;
  for (const Piece& piece : stream) text += piece.text;
  EXPECT_EQ(text, "Because");
  EXPECT_EQ(stream.text(), "Because");
  EXPECT_EQ(stream.result()->finish_reason, "stop");
  EXPECT_EQ(stream.result()->usage.at("completion_tokens"), 2u);
  EXPECT_EQ(server.asked("generate").at(0),
            json({{"id", "1"},
                  {"max_tokens", 2},
                  {"top_k", 3},
                  {"messages", {{{"role", "user"}, {"content", "Why?"}}}},
                  {"aorta", {{"tier", "urgent"}}}}));
}

TEST(CppClient, HandsPiecesToACallback) {
  ScriptedServer server([](const Ask&) {
    return std::vector<Ask>{accepted, tokens(0, "x"), done()};
  });
  Client client(at(server));
  std::string text;
  const Result result =
      client.generate(Request::prompt("Why?"), [&](const Piece& piece) { text += piece.text; });
  EXPECT_EQ(text, "x");
  EXPECT_EQ(result.finish_reason, "stop");
}

TEST(CppClient, KeepsChoicesApart) {
  ScriptedServer server([](const Ask&) {
    const json likeliest = {{"token", "\\xc3"}, {"bytes", {195}}, {"logprob", -0.5}};
    Ask both = accepted, second = tokens(0, "b"), last = done(), thought = tokens(0, "");
    both.second["choices"] = 2;
    second.second["choice"] = last.second["choice"] = 1;
    thought.second["reasoning"] = "Hm. ";
    thought.second["logprobs"] = {likeliest};
    thought.second["logprobs"][0]["top_logprobs"] = {likeliest};
    return std::vector<Ask>{both, thought, second, tokens(1, "a"), done(), last};
  });
  Client client(at(server));
  Stream stream = client.generate(Request("Why?").set("n", 2));
  EXPECT_EQ(stream.read(), "a");
  EXPECT_EQ(stream.reasoning(), "Hm. ");
  ASSERT_EQ(stream.logprobs().size(), 1u);
  EXPECT_EQ(stream.logprobs()[0].top_logprobs.at(0).bytes, std::vector<int>{195});
  EXPECT_EQ(stream.logprobs()[0].logprob, -0.5);
  EXPECT_EQ(stream.choices().at(1).text, "b");
  EXPECT_EQ(stream.next_index(), (std::vector<std::uint32_t>{2, 1}));
}

TEST(CppClient, ARefusalSaysWhenToTryAgain) {
  ScriptedServer server([](const Ask&) {
    const json body = {{"status", 429}, {"code", "queue_full"}, {"retry_after_ms", 1500}};
    return std::vector<Ask>{{"rejected", body}};
  });
  Client client(at(server));
  try {
    client.generate(Request("Why?"));
    FAIL() << "it was refused";
  } catch (const Rejected& error) {
    EXPECT_EQ(error.reason, "queue_full");
    EXPECT_EQ(error.retry_after, milliseconds(1500));
  }
}

TEST(CppClient, ACutAnswerGoesOnBehindItsLastToken) {
  ScriptedServer server(cut_once);
  Client client(at(server));
  EXPECT_EQ(client.generate(Request("Why?")).read(), "Because");
  json resumed = server.asked("resume").at(0);
  EXPECT_EQ(resumed["generate"]["messages"][0]["content"], "Why?") << "carried along";
  EXPECT_EQ(resumed["delivered_hash"].get<std::string>().size(), 16u);
  resumed.erase("generate");
  resumed.erase("delivered_hash");
  EXPECT_EQ(
      resumed,
      json({{"id", "1"}, {"request", request_id}, {"next_index", 1}, {"seed", 7}, {"life", 0}}));
}

TEST(CppClient, AsksAgainUnderItsKeyWhenTheAcceptanceWasLost) {
  int times = 0;
  ScriptedServer server([&](const Ask&) {
    return times++ == 0 ? std::vector<Ask>{cut}
                        : std::vector<Ask>{accepted, tokens(0, "x"), done()};
  });
  Client client(at(server));
  EXPECT_EQ(client.generate(Request("Why?")).read(), "x");
  const auto asked = server.asked("generate");
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0], asked[1]);
  EXPECT_EQ(asked[0].at("idempotency_key").get<std::string>().size(), 32u);
}

TEST(CppClient, SilenceIsACut) {
  ScriptedServer server([](const Ask& ask) {
    if (ask.first == "generate") return std::vector<Ask>{accepted, tokens(0, "Be")};
    return std::vector<Ask>{accepted, tokens(1, "cause"), done()};
  });
  Options options = at(server, 1000);
  options.silence = milliseconds(50);
  EXPECT_EQ(Client(options).generate(Request("Why?")).read(), "Because");
}

TEST(CppClient, SaysThatAServerForgotTheAnswer) {
  ScriptedServer server([](const Ask& ask) {
    if (ask.first == "generate") return cut_once(ask);
    return std::vector<Ask>{{"rejected", {{"status", 404}, {"code", "request_not_found"}}}};
  });
  Client client(at(server));
  Stream stream = client.generate(Request("Why?"));
  EXPECT_THROW(stream.read(), AnswerLost);
  EXPECT_EQ(stream.text(), "Be");
}

TEST(CppClient, CarriesItsRequestAlongWhenItResumes) {
  ScriptedServer server(cut_once);
  EXPECT_EQ(Client(at(server)).generate(Request("Why?")).read(), "Because");
  json generate = server.asked("generate").at(0);
  generate.erase("id");
  EXPECT_EQ(server.asked("resume").at(0), json({{"id", "1"},
                                                {"request", request_id},
                                                {"next_index", 1},
                                                {"delivered_hash", "4d25767f9dce13f5"},
                                                {"life", 0},
                                                {"seed", 7},
                                                {"generate", generate}}));
}

TEST(CppClient, ReadsOnceWhatCameAtTheEndWithoutTokens) {
  ScriptedServer server([](const Ask& ask) {
    const Ask end_text{"tokens", {{"index", 1}, {"ids", json::array()}, {"text", "!"}}};
    if (ask.first == "generate") return std::vector<Ask>{accepted, tokens(0, "x"), end_text, cut};
    return std::vector<Ask>{accepted, end_text, done()};
  });
  EXPECT_EQ(Client(at(server)).generate(Request("Why?")).read(), "x!");
}

TEST(CppClient, AnAcceptedAnswerWaitsForAServerThatHasNoRoomOrLeaves) {
  int resumed = 0;
  ScriptedServer server([&](const Ask& ask) {
    if (ask.first == "generate") return std::vector<Ask>{accepted, tokens(0, "x"), cut};
    if (++resumed == 1) {
      return std::vector<Ask>{
          {"rejected", {{"status", 503}, {"code", "overloaded"}, {"retry_after_ms", 10}}}};
    }
    if (resumed == 2) {
      return std::vector<Ask>{
          accepted, {"failed", {{"status", 503}, {"code", "shutting_down"}}}, cut};
    }
    return std::vector<Ask>{accepted, tokens(1, "y"), done()};
  });
  Options options = at(server);
  options.retries = 4;  // of a server that leaves, both its word and the cut count
  EXPECT_EQ(Client(options).generate(Request("Why?")).read(), "xy");
}

TEST(CppClient, OfSeveralAddressesACutLeadsToTheNext) {
  ScriptedServer first([](const Ask&) { return std::vector<Ask>{accepted, tokens(0, "Be"), cut}; });
  ScriptedServer second([](const Ask& ask) {
    return std::vector<Ask>{
        {"accepted", {{"request", ask.second["request"]}, {"model", "m"}, {"seed", 7}}},
        tokens(1, "cause"),
        done()};
  });
  Options options = at(first);
  options.addresses = {first.address(), second.address()};
  EXPECT_EQ(Client(options).generate(Request("Why?")).read(), "Because");
  EXPECT_EQ(second.asked("resume").size(), 1u);
}

TEST(CppClient, GivesUpAServerThatAlwaysCuts) {
  ScriptedServer server([](const Ask&) { return std::vector<Ask>{cut}; });
  Client client(at(server, 2));
  EXPECT_THROW(client.models(), ConnectionLost);
  EXPECT_EQ(server.asked("models").size(), 3u);
}

TEST(CppClient, WithoutRetriesACutSaysWhereToGoOn) {
  ScriptedServer server(cut_once);
  Client client(at(server, 0));
  Stream stream = client.generate(Request("Why?"));
  try {
    stream.read();
    FAIL() << "it was cut";
  } catch (const ConnectionLost& lost) {
    EXPECT_EQ(lost.next_index, std::vector<std::uint32_t>{1});
    EXPECT_EQ(client.resume(lost.request, lost.next_index).read(), "cause");
  }
  EXPECT_FALSE(server.asked("generate").at(0).contains("idempotency_key"));
}

TEST(CppClient, AnEncryptedAnswerGoesOnAfterACut) {
  std::array<char, 41> ignored{}, secret{}, other{};
  ASSERT_EQ(zmq_curve_keypair(ignored.data(), secret.data()), 0);
  ASSERT_EQ(zmq_curve_keypair(other.data(), ignored.data()), 0);
  ScriptedServer server(cut_once, secret.data());
  Options options = at(server);
  options.server_key = server.public_key();
  EXPECT_EQ(Client(options).generate(Request("Why?")).read(), "Because");
  options.first_contact = milliseconds(300);
  for (const std::string& key : {std::string(other.data()), std::string()}) {
    options.server_key = key;
    EXPECT_THROW(Client(options).models(), ConnectionLost);
  }
  options.server_key = "too short";
  EXPECT_THROW(Client{options}, Error);
}

TEST(CppClient, LeavingAStreamCancelsIt) {
  ScriptedServer server([](const Ask& ask) {
    if (ask.first == "models") return std::vector<Ask>{{"models", {{"models", {"m"}}}}};
    return std::vector<Ask>{accepted, tokens(0, "x")};
  });
  Client client(at(server));
  client.generate(Request("Why?")).next();
  client.generate(Request("Why?").set("on_disconnect", "finish")).next();
  EXPECT_EQ(client.models(), std::vector<std::string>{"m"});  // on the same socket, so afterwards
  EXPECT_EQ(server.asked("cancel"), std::vector<json>{json({{"request", request_id}})});
}

// Ctrl-C before a request has a name: it is cancelled as soon as it has one.
TEST(CppClient, ASignalWakesIt) {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &action, &before);
  ScriptedServer server([](const Ask& ask) {
    Ask late = accepted;
    late.second["id"] = "1";
    if (ask.first == "models") return std::vector<Ask>{late, {"models", {{"models", {"m"}}}}};
    return std::vector<Ask>{};
  });
  Client client(at(server));
  std::atomic<bool> woken{false};
  std::thread signals([&woken, reader = ::pthread_self()] {
    while (!woken) {  // one may come before it waits
      ::pthread_kill(reader, SIGUSR1);
      std::this_thread::yield();
    }
  });
  EXPECT_THROW(client.generate(Request("Why?")), Interrupted);
  woken = true;
  signals.join();
  client.models();
  client.models();  // after the cancel, on the same socket
  EXPECT_EQ(server.asked("cancel"), std::vector<json>{json({{"request", request_id}})});
  ::sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace aorta::client
