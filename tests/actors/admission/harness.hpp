#pragma once
// An admission core with a scheduler, executors and clients played by the test: time by hand, every
// message and client event kept until it is looked at.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/admission/admission.hpp"
#include "base/request_owner.hpp"
#include "engine/fake/fake_text_model.hpp"

namespace aorta::admission {

inline constexpr TokenId stop_id = 0;  // of the fake model: every other id is the byte of its value

// The tenant is the one of ask().
inline RequestId request_id(std::uint64_t number) { return owned_id({0xA0, number}, "default"); }
inline ConnectionId connection(std::uint64_t number) { return ConnectionId{number}; }
inline mesh::PeerId executor(std::uint64_t number, std::uint64_t life = 1) {
  return {"executor-" + std::to_string(number), Incarnation{life}};
}
inline std::vector<TokenId> ids_of(std::string_view text) { return {text.begin(), text.end()}; }
inline mesh::RequestKey key(std::uint64_t number, std::uint32_t epoch = 1) {
  return {request_id(number), Epoch{epoch}};
}

inline std::shared_ptr<const engine::TextModel> fake_model(std::uint32_t thinking_tokens = 0) {
  engine::FakeOptions options;
  options.thinking_tokens = thinking_tokens;
  options.context_tokens = 2048;
  options.stop_id = stop_id;
  return engine::make_fake_text_model(options);
}

class Harness {
 public:
  using Model = std::shared_ptr<const engine::TextModel>;
  explicit Harness(AdmissionOptions options = {}, Model model = fake_model())
      : core(hello(), with_defaults(options), {{"fake", std::move(model)}}) {
    core.start(now, out);
    core.receive({"scheduler", {}}, mesh::Welcome{1, {"scheduler", Incarnation{1}}}, now, out);
    beat();
    clear();
  }

  // ── The scheduler ──────────────────────────────────────────────────────────────────────────
  mesh::SchedulerBeat figures{.slots_total = 16,
                              .slots_known = 16,
                              .slots_free = 16,
                              .executors_ready = 2,
                              .queued = {0, 0, 0},
                              .running = {0, 0, 0}};
  bool scheduler_beats = true;  // with each advance()
  void beat() { from_scheduler(figures); }
  void from_scheduler(mesh::Message message) { core.receive({"scheduler", {}}, message, now, out); }
  void place(std::uint64_t number, const mesh::PeerId& at, std::uint32_t epoch = 1) {
    from_scheduler(mesh::Placed{key(number, epoch), at});
  }
  void lose(std::uint64_t number, std::uint32_t epoch, bool counted_crash = false) {
    from_scheduler(mesh::Lost{key(number, epoch), mesh::LostReason::dead, counted_crash});
  }

  // ── Executors ──────────────────────────────────────────────────────────────────────────────
  void join(const mesh::PeerId& who) {
    core.receive(who, mesh::Hello{.kind = mesh::ServiceKind::executor, .self = who}, now, out);
  }
  void tokens(const mesh::PeerId& from, mesh::RequestKey of, std::uint32_t first,
              std::string_view text, mesh::Finish finish = mesh::Finish::none,
              std::string numerics = "n") {
    auto ids = ids_of(text);
    if (finish == mesh::Finish::stop) ids.push_back(stop_id);
    core.receive(from, mesh::Tokens{{{of, TokenIndex{first}, ids, finish}}, std::move(numerics)},
                 now, out);
  }

  // ── Clients ────────────────────────────────────────────────────────────────────────────────
  GenerateRequest ask(std::uint64_t number) const {
    GenerateRequest ask;
    ask.id = request_id(number);
    ask.prompt = "abc";
    ask.sampling.seed = 7;
    return ask;
  }
  void generate(std::uint64_t connection_number, GenerateRequest ask) {
    core.generate(connection(connection_number), std::move(ask), now, out);
    collect();
  }
  // Asked, placed on `at` and started.
  void run(std::uint64_t number, const mesh::PeerId& at) {
    generate(number, ask(number));
    place(number, at);
  }
  void gone(std::uint64_t number) { core.gone(connection(number), now, out); }
  void cancel(std::uint64_t connection_number, std::uint64_t number) {
    core.cancel(connection(connection_number), "default", request_id(number), now, out);
  }
  void resume(std::uint64_t connection_number, std::uint64_t number, std::uint32_t next) {
    core.resume(connection(connection_number), "default", request_id(number), {TokenIndex{next}},
                now, out);
  }

  // Lets time pass, ticking exactly when the core asks for it.
  void advance(std::int64_t ms) {
    const TimePoint until = now + std::chrono::milliseconds(ms);
    TimePoint next_beat = now;
    for (int turns = 0; now < until; ++turns) {
      ASSERT_LT(turns, 100'000) << "the core asks for ticks without end";
      if (scheduler_beats && now >= next_beat) {
        beat();
        next_beat = now + std::chrono::milliseconds(100);
      }
      const TimePoint next = core.next_tick();
      now = std::min({until, next, scheduler_beats ? next_beat : until});
      if (next <= now) {
        core.tick(now, out);
        ASSERT_GT(core.next_tick(), now) << "a tick leaves something due";
      }
    }
    collect();
  }

  // ── What came out ──────────────────────────────────────────────────────────────────────────
  template <class M>
  std::vector<std::pair<mesh::PeerId, M>> sent() const {
    std::vector<std::pair<mesh::PeerId, M>> found;
    for (const auto& send : out.sends) {
      if (const M* message = std::get_if<M>(&send.message)) found.push_back({send.to, *message});
    }
    return found;
  }
  template <class M>
  M last() const {
    const auto all = sent<M>();
    EXPECT_FALSE(all.empty());
    return all.empty() ? M{} : all.back().second;
  }
  template <class E>
  std::vector<E> events(std::uint64_t connection_number) {
    collect();
    std::vector<E> found;
    for (const auto& [to, event] : told) {
      const E* one = std::get_if<E>(&event);
      if (one != nullptr && to == connection(connection_number)) found.push_back(*one);
    }
    return found;
  }
  std::string text(std::uint64_t connection_number) {
    std::string text;
    for (const auto& delta : events<Delta>(connection_number)) text += delta.text;
    return text;
  }
  // The finish reason, or the code of a failure; empty while there is none, "twice" if two came.
  std::string ending(std::uint64_t connection_number) {
    const auto done = events<Done>(connection_number);
    const auto failed = events<Failed>(connection_number);
    if (done.size() + failed.size() > 1) return "twice";
    if (!done.empty()) return done.front().finish_reason;
    return failed.empty() ? "" : failed.front().code;
  }
  void collect() {
    for (auto& event : core.take_client_events()) told.push_back(std::move(event));
  }
  void clear() {
    collect();
    told.clear();
    out = {};
  }
  bool balanced() const { return core.audit().find("\"balanced\":true") != std::string::npos; }

  TimePoint now{std::chrono::hours(1)};
  mesh::Outbox out;
  std::vector<Admission::ClientOutput> told;
  Admission core;

 private:
  static mesh::Hello hello() {
    return {.kind = mesh::ServiceKind::admission, .self = {"admission", Incarnation{9}}};
  }
  static AdmissionOptions with_defaults(AdmissionOptions options) {
    options.scheduler_address = "inproc://scheduler";
    options.monitor_address = "inproc://monitor";
    options.default_model = "fake";
    return options;
  }
};

// A request that streams from executor 1: "hello" is generated and delivered.
inline void stream_hello(Harness& h, GenerateRequest ask) {
  h.join(executor(1));
  h.generate(1, std::move(ask));
  h.place(1, executor(1));
  h.tokens(executor(1), key(1), 0, "hello");
}

}  // namespace aorta::admission
