#pragma once
// Virtual time: events in order of time, ties in order of scheduling.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace aorta::sim {

class Timeline {
 public:
  static constexpr TimePoint epoch{std::chrono::hours(1)};

  TimePoint now() const { return now_; }
  std::uint64_t events() const { return events_; }
  void at(TimePoint when, std::function<void()> run) {
    queue_.push_back({std::max(when, now_), sequence_++, std::move(run)});
    std::push_heap(queue_.begin(), queue_.end());
  }
  void after(Duration delay, std::function<void()> run) { at(now_ + delay, std::move(run)); }
  // Runs the next event; false when it would be later than `until`.
  bool step(TimePoint until) {
    if (queue_.empty() || queue_.front().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::pop_heap(queue_.begin(), queue_.end());
    const Event event = std::move(queue_.back());
    queue_.pop_back();
    now_ = event.when;
    ++events_;
    event.run();
    return true;
  }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t sequence;
    std::function<void()> run;
    bool operator<(const Event& other) const {  // a heap keeps the largest first
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  std::vector<Event> queue_;
  TimePoint now_ = epoch;
  std::uint64_t sequence_ = 0, events_ = 0;
};

}  // namespace aorta::sim
