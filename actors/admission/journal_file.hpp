#pragma once
// The journal on disk: one SQLite file in WAL mode, for one admission. Not for two threads at once.
//
//   file     = application_id "AORJ", user_version 1
//   requests = request, life, choices, tenant, model, arrived_ms, deadline_ms, prompt, parameters
//              request: 16 bytes; prompt: 4 bytes an id, least significant first; parameters: CBOR
//   choices  = request, choice, numerics_id, outcome (CBOR, null while open), tokens, ended_ms
//   owner    = the mesh whose it is, and the incarnation that writes: a larger one takes it over
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "actors/admission/journal.hpp"
#include "base/result.hpp"

struct sqlite3;

namespace aorta::admission {

class Statement;

struct JournalFileOptions {
  std::string path;                      // its folder is made if it is missing
  Incarnation owner;                     // this life of the admission
  std::string mesh;                      // its state folder: no other mesh uses this file
  bool sync_each = false;                // a write is on the disk when it is done
  std::uint64_t max_bytes = 256u << 20;  // of the file; beyond it writes fail
};

// Time of day, in ms since 1970, and the clock of cores: only files need the former.
struct JournalClock {
  TimePoint steady;
  std::int64_t unix_ms;  // at the same moment
  static JournalClock now();
  std::int64_t to_unix_ms(TimePoint at) const { return unix_ms + to_ms(at - steady); }
  TimePoint from_unix_ms(std::int64_t ms) const {
    return steady + std::chrono::milliseconds(ms - unix_ms);
  }
};

class JournalFile {
 public:
  struct Opened {
    std::unique_ptr<JournalFile> file;
    std::string warning;  // not empty: what was lost, and where it lies now
  };
  // Makes the file, or takes it over from an earlier life; one that is damaged is set aside.
  // Errors: unsupported (a newer aorta's; another application's), conflict (a newer life's, or
  // another mesh's), io, resource_exhausted (it cannot be written now).
  static Result<Opened> open(const JournalFileOptions& options);
  ~JournalFile();

  // All that earlier lives have left, each of them with its life raised. Once, at first. A record
  // that cannot be read is dropped and counted.
  Result<std::vector<JournalEntry>> read(const JournalClock& clock, std::size_t& unreadable);
  // All of these or, with an error, none. Without any it only tries whether something can be
  // written. Errors: as above; corrupt or not_found (it is damaged, or
  // was moved away): then this file is of no use any more, and another one is to be opened.
  Result<void> apply(std::span<const JournalCommand> commands, const JournalClock& clock);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit JournalFile(JournalFileOptions options);
  Result<void> connect();
  Result<void> prepare();
  Result<void> execute(const char* sql);
  void roll_back();
  Result<std::int64_t> number(const char* sql);
  Result<void> own();
  Result<void> sign(Incarnation owner);
  Result<void> touch();
  Result<void> check_owner();
  Result<void> write(const JournalRecord& record, const JournalClock& clock);
  Result<void> write(const JournalCommand& command, const JournalClock& clock);
  Error failure() const;

  JournalFileOptions options_;
  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<Statement> insert_, numerics_, end_, erase_, erase_choices_, owner_, own_;
};

// Carries what was written into the file's main part and syncs both, which takes as long as the
// disk does: of another thread than the one that writes.
class JournalSync {
 public:
  explicit JournalSync(const std::string& path);
  ~JournalSync();
  JournalSync(const JournalSync&) = delete;
  Result<void> sync();

 private:
  std::string path_;
  sqlite3* database_ = nullptr;
};

}  // namespace aorta::admission
