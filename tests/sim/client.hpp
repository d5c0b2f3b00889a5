#pragma once
// A simulated client: asks, reads, and sometimes cancels, dawdles, disconnects and resumes, or
// vanishes. It compares every delivery with the oracle's answer the moment it comes.
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/admission_process.hpp"

namespace aorta::sim {

struct ClientPlan {
  enum class Habit { reads, cancels, dawdles, resumes, vanishes, repeats };
  Habit habit = Habit::reads;
  std::uint32_t after_tokens = 0;  // when the habit shows
  Duration pause{};                // how long it dawdles or stays away
  admission::GenerateRequest request;
};

class Client {
 public:
  Client(Timeline& timeline, AdmissionProcess& admission, const Oracle& oracle, ClientPlan plan);

  void begin();
  bool ended() const;
  // Of each choice: stop | length | cancelled | timeout | failed CODE | rejected CODE | vanished;
  // empty while it goes on.
  std::vector<std::string> outcomes() const;
  const ClientPlan& plan() const { return plan_; }
  std::size_t received() const;
  std::uint32_t epochs() const;
  // The first thing that must not have happened, empty when all is well.
  const std::string& violation() const { return violation_; }

 private:
  struct Reading {  // of one choice
    Expected expected;
    std::vector<TokenId> ids;
    std::string reasoning, text;
    std::uint32_t epochs = 0;
    std::string outcome;
  };
  void handle(const admission::ClientEvent& event);
  void on_delta(const admission::Delta& delta);
  void on_done(const admission::Done& done);
  void compare(const Reading& reading);
  void compare_logprobs(const Expected& expected, const admission::Delta& delta);
  void show_habit();
  void reconnect();
  void end(Reading& reading, std::string outcome);
  void end_all(const std::string& outcome);
  Reading& reading_of(std::uint32_t choice);
  void violate(std::string what);

  Timeline& timeline_;
  AdmissionProcess& admission_;
  const Oracle& oracle_;
  ClientPlan plan_;
  std::vector<Reading> readings_;
  ConnectionId connection_;
  bool accepted_ = false, shown_ = false;
  std::string violation_;
};

}  // namespace aorta::sim
