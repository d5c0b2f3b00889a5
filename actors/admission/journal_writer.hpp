#pragma once
// Keeps the journal on threads of its own, since a disk may take its time: one writes, what has
// come meanwhile in one transaction; one syncs what was written. A file that cannot be opened or
// written is tried again, whether somebody asks or not. Once it is open what earlier lives have left
// in it is told; one that is damaged or deleted while it is in use is replaced.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "actors/admission/journal_file.hpp"

namespace aorta::admission {

struct JournalWriterOptions {
  JournalFileOptions file;
  std::chrono::milliseconds sync_every{100};
  std::chrono::milliseconds retry_every{1000};  // a file that fails
};

// As it was opened before anything else; later openings come as events.
struct OpenedJournal {
  std::unique_ptr<JournalFile> file;  // null: it cannot be opened now, as `state` says
  std::vector<JournalEntry> entries;
  Result<void> state;
};
// Says in the log what was lost. Errors: as JournalFile::open().
Result<OpenedJournal> open_journal(const JournalFileOptions& options);

class JournalWriter {
 public:
  // All are called on the writing thread.
  struct Events {
    std::function<void(std::vector<RequestId>, Result<void>)> written;
    std::function<void(std::vector<JournalEntry>)> opened;
    std::function<void(Result<void>)> state;  // it can be written no more, or again
  };
  JournalWriter(JournalWriterOptions options, std::unique_ptr<JournalFile> file, Events events);
  ~JournalWriter();  // after what was asked is done

  void add(std::vector<JournalCommand> commands);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aorta::admission
