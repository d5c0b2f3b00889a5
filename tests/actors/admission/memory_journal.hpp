#pragma once
// A journal that outlives cores but not the test: what a file of it promises, without the file.
#include <map>
#include <utility>
#include <vector>

#include "actors/admission/journal.hpp"

namespace aorta::admission {

class MemoryJournal {
 public:
  void apply(const JournalCommand& command) {
    if (const auto* write = std::get_if<JournalWrite>(&command)) {
      entries_[write->record.request].record = write->record;
    } else if (const auto* erase = std::get_if<JournalErase>(&command)) {
      entries_.erase(erase->request);
    } else if (const auto* numerics = std::get_if<JournalNumerics>(&command)) {
      if (auto entry = entries_.find(numerics->request); entry != entries_.end()) {
        entry->second.numerics_ids[numerics->choice] = numerics->numerics_id;
      }
    } else if (const auto* end = std::get_if<JournalEnd>(&command)) {
      if (auto entry = entries_.find(end->request); entry != entries_.end()) {
        std::erase_if(entry->second.endings, [&](const JournalEnding& one) {
          return one.choice == end->ending.choice;
        });
        entry->second.endings.push_back(end->ending);
      }
    }
  }
  // For the next life; each of them is another one.
  std::vector<JournalEntry> read() {
    std::vector<JournalEntry> all;
    for (auto& [request, entry] : entries_) {
      ++entry.record.life;
      all.push_back(entry);
    }
    return all;
  }
  std::size_t size() const { return entries_.size(); }

 private:
  std::map<RequestId, JournalEntry> entries_;
};

}  // namespace aorta::admission
