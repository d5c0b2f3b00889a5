#pragma once
// A ClientPort that writes down what fronts ask of it and answers what a test says.
#include <functional>
#include <map>
#include <vector>

#include "actors/admission/client.hpp"

namespace aorta::fronts {

class ScriptedPort final : public admission::ClientPort {
 public:
  struct Generate {
    ConnectionId connection;
    admission::GenerateRequest request;
  };
  struct Cancel {
    ConnectionId connection;
    RequestId request;
  };
  struct Resume {
    ConnectionId connection;
    RequestId request;
    std::vector<TokenIndex> next;
    admission::ResumeRequest whole;
  };
  std::vector<Generate> generated;
  std::vector<Cancel> cancelled;
  std::vector<Resume> resumed;
  std::vector<ConnectionId> gone_connections;
  std::map<ConnectionId, bool> holds;  // the last word on each
  std::size_t hold_calls = 0;
  admission::Readiness ready{true, "", {"smollm2"}, 0};
  std::map<RequestId, std::string> known;
  std::shared_ptr<const engine::TextModel> model;
  std::function<void(const Generate&)> on_generate;  // may deliver at once, as admission does
  std::function<void(const Resume&)> on_resume;

  void generate(ConnectionId connection, admission::GenerateRequest request) override {
    generated.push_back({connection, std::move(request)});
    if (on_generate) on_generate(generated.back());
  }
  void cancel(ConnectionId connection, const std::string&, RequestId request) override {
    cancelled.push_back({connection, request});
  }
  void resume(ConnectionId connection, admission::ResumeRequest resume) override {
    std::vector<TokenIndex> next;
    for (const admission::Cursor& cursor : resume.cursors) next.push_back(cursor.next);
    resumed.push_back({connection, resume.request, next, resume});
    if (on_resume) on_resume(resumed.back());
  }
  void gone(ConnectionId connection) override { gone_connections.push_back(connection); }
  void hold(ConnectionId connection, bool held) override {
    holds[connection] = held;
    ++hold_calls;
  }
  admission::Readiness readiness() const override { return ready; }
  std::shared_ptr<const engine::TextModel> text_model(const std::string&) const override {
    return model;
  }
  std::vector<mesh::Figure> figures() const override {
    return {{"aorta_requests_total", "tier=\"high\"", 3, mesh::FigureKind::counter}};
  }
  std::string request_json(const std::string&, RequestId request) const override {
    const auto entry = known.find(request);
    return entry == known.end() ? "" : entry->second;
  }

  // The usual story of an answer: accepted, a token per word, done.
  static void answer(admission::Front& front, ConnectionId connection, RequestId request,
                     const std::vector<std::string>& words) {
    front.deliver(connection, admission::Accepted{request, "smollm2", 7});
    TokenIndex next;
    for (const std::string& word : words) {
      front.deliver(connection, admission::Delta{request, next, {100}, word});
      ++next;
    }
    const auto tokens = static_cast<std::uint32_t>(words.size());
    front.deliver(connection, admission::Done{request, "stop", {5, tokens, 0}, 1, true});
  }
};

}  // namespace aorta::fronts
