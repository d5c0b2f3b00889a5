#include "tests/sim/journal.hpp"

#include <utility>

namespace aorta::sim {
namespace {

constexpr Duration retry_every = std::chrono::milliseconds(100);

// From a life's clock to the time of day, or back.
void move_times(admission::JournalRecord& record, Duration by) {
  record.arrived += by;
  record.deadline += by;
}

}  // namespace

void Journal::add(std::vector<admission::JournalCommand> commands, Duration clock,
                  Written written) {
  for (admission::JournalCommand& command : commands) {
    if (auto* write = std::get_if<admission::JournalWrite>(&command)) {
      move_times(write->record, -clock);
    } else if (auto* end = std::get_if<admission::JournalEnd>(&command)) {
      end->ending.at -= clock;
    }
    queue_.push_back({std::move(command), written});
  }
  if (writing_ == 0) write();
}

// All that has come, in one go.
void Journal::write() {
  writing_ = queue_.size();
  if (writing_ == 0) return;
  const Duration takes = std::max(Duration(random_.between(100, slowest_.count())),
                                  timeline_.now() < full_until_ ? retry_every : Duration{});
  timeline_.after(takes, [this, life = life_] {
    if (life == life_) this->written();
  });
}

void Journal::written() {
  const bool full = timeline_.now() < full_until_;
  std::deque<Queued> owed, done;
  for (; writing_ > 0; --writing_) {
    done.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  for (Queued& queued : done) {
    const auto* write = std::get_if<admission::JournalWrite>(&queued.command);
    if (!full) {
      file_.apply(queued.command);
      if (write != nullptr) queued.written({write->record.request}, {});
    } else if (write != nullptr) {
      queued.written({write->record.request},
                     Error{ErrorCode::resource_exhausted, "no room on the disk"});
    } else {
      owed.push_back(std::move(queued));
    }
  }
  queue_.insert(queue_.begin(), std::make_move_iterator(owed.begin()),
                std::make_move_iterator(owed.end()));
  write();
}

void Journal::owner_died() {
  ++life_;
  queue_.clear();
  writing_ = 0;
}

std::vector<admission::JournalEntry> Journal::read(Duration clock) {
  auto entries = file_.read();
  for (admission::JournalEntry& entry : entries) {
    move_times(entry.record, clock);
    for (admission::JournalEnding& ending : entry.endings) ending.at += clock;
  }
  return entries;
}

}  // namespace aorta::sim
