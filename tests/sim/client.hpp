#pragma once
// A simulated client: asks, reads, and sometimes cancels, dawdles, disconnects and resumes, or
// vanishes. It compares every delivery with the oracle's answer the moment it comes.
#include <optional>
#include <string>

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
  bool ended() const { return !outcome_.empty(); }
  // stop | length | cancelled | timeout | failed CODE | rejected CODE | vanished
  const std::string& outcome() const { return outcome_; }
  const ClientPlan& plan() const { return plan_; }
  std::size_t received() const { return ids_.size(); }
  std::uint32_t epochs() const { return epochs_; }
  // The first thing that must not have happened, empty when all is well.
  const std::string& violation() const { return violation_; }

 private:
  void handle(const admission::ClientEvent& event);
  void on_delta(const admission::Delta& delta);
  void on_done(const admission::Done& done);
  void show_habit();
  void reconnect();
  void end(std::string outcome);
  void violate(std::string what);

  Timeline& timeline_;
  AdmissionProcess& admission_;
  ClientPlan plan_;
  Expected expected_;
  ConnectionId connection_;
  bool accepted_ = false, shown_ = false;
  std::vector<TokenId> ids_;
  std::string text_;
  std::uint32_t epochs_ = 0;
  std::string outcome_, violation_;
};

}  // namespace aorta::sim
