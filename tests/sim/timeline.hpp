#pragma once
// Virtual time: events in order of time, ties in order of scheduling.
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace aorta::sim {

class Timeline {
 public:
  TimePoint now() const { return now_; }
  std::uint64_t events() const { return events_; }
  void at(TimePoint when, std::function<void()> run) {
    queue_.push({std::max(when, now_), sequence_++, std::move(run)});
  }
  void after(Duration delay, std::function<void()> run) { at(now_ + delay, std::move(run)); }
  // Runs the next event; false when it would be later than `until`.
  bool step(TimePoint until) {
    if (queue_.empty() || queue_.top().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    auto run = std::move(const_cast<Event&>(queue_.top()).run);
    now_ = queue_.top().when;
    queue_.pop();
    ++events_;
    run();
    return true;
  }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t sequence;
    std::function<void()> run;
    bool operator<(const Event& other) const {  // priority_queue keeps the largest first
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  std::priority_queue<Event> queue_;
  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 0, events_ = 0;
};

}  // namespace aorta::sim
