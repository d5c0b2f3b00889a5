#pragma once
// A simulated client: asks, reads, and sometimes cancels, dawdles, disconnects and resumes, or
// vanishes. It compares every delivery with the oracle's answer the moment it comes. When its
// admission dies it does what its kind can: ask again under its key, resume there or, with the
// request carried along, at the other one, or give up.
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/admission_process.hpp"

namespace aorta::sim {

struct ClientPlan {
  enum class Habit { reads, cancels, dawdles, resumes, vanishes, repeats };
  static const char* name_of(Habit habit);
  Habit habit = Habit::reads;
  // When its admission dies.
  enum class Cut { gives_up, resumes, carries } when_cut = Cut::gives_up;
  std::uint32_t after_tokens = 0;  // when the habit shows
  Duration pause{};                // how long it dawdles or stays away
  Duration park{};                 // how long its admission keeps it when it is away
  Duration retain{};               // and its answer when that is whole
  bool poisonous = false;          // its prompt crashes engines: it may get no token
  admission::GenerateRequest request;
};

class Client {
 public:
  // `other`: an admission to turn to when its own does not answer.
  Client(Timeline& timeline, AdmissionProcess& admission, AdmissionProcess& other,
         const Oracle& oracle, ClientPlan plan);

  void begin();
  bool ended() const;
  // Of each choice: stop | length | cancelled | timeout | failed CODE | rejected CODE | vanished |
  // cut; empty while it goes on.
  std::vector<std::string> outcomes() const;
  // It has left or cancelled, and wants nothing any more.
  bool wants_nothing() const;
  const ClientPlan& plan() const { return plan_; }
  const Expected& expected(std::uint32_t choice) const { return readings_[choice].expected; }
  std::uint32_t cuts() const { return cuts_; }  // how often its admission died
  const AdmissionProcess& admission() const { return *admission_; }
  void hurry(Duration ahead) {  // its admission's clock has stepped
    plan_.park -= ahead;
    plan_.retain -= ahead;
  }
  bool returned() const { return left_at_ != never; }
  bool repeated() const { return shown_ && plan_.habit == ClientPlan::Habit::repeats; }
  std::size_t received() const;
  std::uint32_t epochs() const;
  // The first thing that must not have happened, empty when all is well.
  const std::string& violation() const { return violation_; }
  std::function<void(const std::string&)> tell;  // its side of the story

 private:
  struct Reading {  // of one choice
    Expected expected;
    std::vector<TokenId> ids;
    std::string reasoning, text;
    std::size_t end_reasoning = 0, end_text = 0;  // bytes of it that only the end released
    std::uint32_t epochs = 0;
    std::string outcome;
  };
  void handle(const admission::ClientEvent& event);
  void on_delta(const admission::Delta& delta);
  void on_done(const admission::Done& done);
  void compare(const Reading& reading);
  void compare_logprobs(const Expected& expected, const admission::Delta& delta);
  void show_habit();
  void open(AdmissionProcess::Ask ask);
  void on_cut();
  void ask_again();
  void reconnect();
  bool away_for_long() const;
  bool slow_for_long() const;
  void end(Reading& reading, std::string outcome);
  void end_all(const std::string& outcome);
  Reading& reading_of(std::uint32_t choice);
  void violate(std::string what);

  Timeline& timeline_;
  AdmissionProcess* admission_;
  AdmissionProcess* other_;
  const Oracle& oracle_;
  ClientPlan plan_;
  std::vector<Reading> readings_;
  ConnectionId connection_;
  bool accepted_ = false, was_accepted_ = false, shown_ = false;
  std::uint32_t cuts_ = 0;
  std::uint32_t life_ = 0;  // of its request, as it was told
  TimePoint left_at_ = never, cut_at_ = never, dawdles_at_ = never;
  std::string violation_;
};

}  // namespace aorta::sim
