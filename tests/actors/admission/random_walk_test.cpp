// Random events in random order, sensible and not: streams stay whole, ends come once, and the
// audit balances after each.
#include <cstdlib>
#include <map>
#include <random>
#include <tuple>

#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

constexpr int steps = 600;
constexpr std::uint32_t seeds = 30;

class Walk {
 public:
  explicit Walk(std::uint32_t seed)
      : random_(seed),
        h_({.open_requests = 16, .park_ms = 700, .retain_ms = 900, .retain_requests = 5}) {
    for (std::uint64_t n = 1; n <= 3; ++n) h_.join(executor(n));
  }

  void step(int number) {
    choose_target();
    switch (pick(8)) {
      case 0:
        client_event(number);
        break;
      case 1:
        trouble();
        break;
      case 2:
        ask();
        break;
      case 3:
      case 4:
        h_.place(request_, at_, epoch_);
        break;
      default:
        tokens();
    }
    check();
  }

  void finish() {
    for (std::uint64_t client = 1; client <= 6; ++client) {
      h_.core.hold(connection(client), false, h_.now, h_.out);
    }
    h_.core.drain(h_.now, h_.out);
    h_.advance(40'000);
    ASSERT_TRUE(h_.out.leave);
    EXPECT_TRUE(h_.balanced());
    EXPECT_EQ(h_.core.readiness(h_.now).open_requests, 0u);
  }
  std::uint64_t ended() const { return ended_; }
  std::uint64_t delivered() const { return delivered_; }

 private:
  std::uint32_t pick(std::uint32_t below) { return random_() % below; }

  // A recent request, mostly with what is true of it: its epoch and its next index.
  void choose_target() {
    request_ = 1 + asked_ - std::min<std::uint64_t>(asked_, pick(10));
    client_ = 1 + pick(6);
    at_ = executor(1 + pick(3), pick(40) == 0 ? 2 : 1);
    const auto first = first_of_.find(request_);
    public_ = first == first_of_.end() ? request_ : first->second;
    const std::string json = h_.core.request_json("default", request_id(public_));
    const auto record = json.rfind("\"id\":\"" + request_id(request_).to_string());
    const std::string of_choice = record == std::string::npos ? "" : json.substr(record);
    epoch_ = pick(5) == 0 ? pick(4) : number_in(of_choice, "\"epoch\":");
    next_ = number_in(of_choice, "\"tokens\":");
  }
  static std::uint32_t number_in(const std::string& json, const std::string& name) {
    const auto at = json.find(name);
    return at == std::string::npos
               ? 1
               : static_cast<std::uint32_t>(std::strtoul(&json[at + name.size()], nullptr, 10));
  }

  void ask() {
    auto ask = h_.ask(++asked_);
    ask.choices = pick(5) == 0 ? 2 + pick(2) : 1;
    for (const std::uint64_t first = asked_; asked_ < first + ask.choices - 1;) {
      first_of_[++asked_] = first;
    }
    ask.max_tokens = 1 + pick(30);
    ask.timeout_ms = 500 + pick(5000);
    ask.tier = static_cast<mesh::Tier>(pick(3));
    ask.on_disconnect = static_cast<OnDisconnect>(pick(3));
    if (pick(3) == 0) ask.idempotency_key = std::to_string(pick(4));
    if (pick(3) == 0) ask.stop = {"bb"};
    h_.generate(client_, ask);
  }

  void tokens() {
    const auto finish = static_cast<Finish>(pick(8) == 0 ? 1 + pick(2) : 0);
    const std::uint32_t back = std::min(next_, pick(3));
    const std::uint32_t first = next_ - back + (pick(10) == 0 ? 3 : 0);
    for (std::uint64_t n = 1; n <= 3; ++n) {  // two of them are strangers to it
      h_.tokens(executor(n), mesh::RequestKey{request_id(request_), Epoch{epoch_}}, first, "abcdb",
                finish);
    }
  }

  void client_event(int number) {
    switch (pick(4)) {
      case 0:
        return h_.gone(client_);
      case 1:  // by a connection of its own, which alone is answered
        return h_.cancel(1000u + static_cast<std::uint64_t>(number), public_);
      case 2:
        return h_.resume(client_, public_, pick(8));
      default:
        return h_.core.hold(connection(client_), pick(3) == 0, h_.now, h_.out);
    }
  }

  void trouble() {
    switch (pick(6)) {
      case 0:
        return h_.join(at_);
      case 1:
        return h_.lose(request_, epoch_, pick(2) == 0);
      case 2:
        return h_.core.unreachable(at_, h_.now, h_.out);
      case 3:
        return h_.core.receive(
            at_, mesh::Declined{key(request_, epoch_), mesh::LostReason::refused}, h_.now, h_.out);
      default:
        return h_.advance(pick(300));
    }
  }

  void check() {
    h_.collect();
    for (const auto& [to, event] : h_.told) {
      if (const auto* accepted = std::get_if<Accepted>(&event)) {
        for (std::uint32_t choice = 0; choice < accepted->choices; ++choice) {
          streams_.erase({to, accepted->request, choice});  // a new reading of it
        }
      } else if (const auto* delta = std::get_if<Delta>(&event)) {
        auto [stream, fresh] = streams_.try_emplace({to, delta->request, delta->choice},
                                                    Stream{delta->first.value, 0});
        ASSERT_EQ(stream->second.next, delta->first.value) << "a gap or a duplicate";
        ASSERT_EQ(stream->second.endings, 0) << "a token after the end";
        stream->second.next += static_cast<std::uint32_t>(delta->ids.size());
        delivered_ += delta->ids.size();
      } else if (const auto* done = std::get_if<Done>(&event)) {
        ASSERT_EQ((++streams_[{to, done->request, done->choice}].endings), 1) << "ended twice";
        ++ended_;
      }
    }
    h_.clear();
    ASSERT_TRUE(h_.balanced()) << h_.core.audit();
  }

  struct Stream {
    std::uint32_t next = 0;
    int endings = 0;
  };
  std::mt19937 random_;
  Harness h_;
  std::uint64_t asked_ = 0, request_ = 0, public_ = 0, client_ = 0;
  std::map<std::uint64_t, std::uint64_t> first_of_;  // choices but the first: whose they are
  std::uint32_t epoch_ = 0, next_ = 0;
  mesh::PeerId at_;
  std::map<std::tuple<ConnectionId, RequestId, std::uint32_t>, Stream> streams_;
  std::uint64_t ended_ = 0, delivered_ = 0;
};

TEST(AdmissionWalk, KeepsItsPromises) {
  std::uint64_t ended = 0, delivered = 0;
  for (std::uint32_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk walk(seed);
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) walk.step(step);
    walk.finish();
    if (testing::Test::HasFailure()) return;
    ended += walk.ended();
    delivered += walk.delivered();
  }
  EXPECT_GT(ended, 20 * seeds) << "the walks were spent in refusals";
  EXPECT_GT(delivered, 100 * seeds);
}

}  // namespace
}  // namespace aorta::admission
