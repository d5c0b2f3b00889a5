#pragma once
// What the file of an admission's journal promises, in simulated time: it outlives the admission's
// lives; what it is given is written after a while, in order, and what was not written when the
// admission dies is lost; a full disk takes nothing.
#include <deque>
#include <functional>
#include <vector>

#include "base/result.hpp"
#include "tests/actors/admission/memory_journal.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/timeline.hpp"

namespace aorta::sim {

class Journal {
 public:
  // `slowest`: that a write takes.
  Journal(Timeline& timeline, Random random, Duration slowest)
      : timeline_(timeline), random_(random), slowest_(slowest) {}

  using Written = std::function<void(const std::vector<RequestId>&, const Result<void>&)>;
  // `clock`: how far the steady clock of this life is ahead of the time of day.
  void add(std::vector<admission::JournalCommand> commands, Duration clock, Written written);
  void owner_died();
  std::vector<admission::JournalEntry> read(Duration clock);

  void fill(TimePoint until) { full_until_ = until; }
  std::size_t size() const { return file_.size(); }

 private:
  struct Queued {
    admission::JournalCommand command;
    Written written;
  };
  void write();
  void written();

  Timeline& timeline_;
  Random random_;
  Duration slowest_;
  admission::MemoryJournal file_;
  std::deque<Queued> queue_;
  std::size_t writing_ = 0;  // of the queue
  std::uint64_t life_ = 0;
  TimePoint full_until_{};
};

}  // namespace aorta::sim
