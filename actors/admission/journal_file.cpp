#include "actors/admission/journal_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

#include "actors/admission/journal_format.hpp"
#include "actors/admission/journal_sql.hpp"

namespace aorta::admission {

using std::chrono::system_clock;

namespace {

constexpr std::int64_t application = 0x414f524a;  // "AORJ"
constexpr std::int64_t version = 1;
constexpr std::int64_t page_bytes = 4096;
constexpr int busy_ms = 2000;
// JournalSync carries the log over; this bounds the log while the disk is too slow for it.
constexpr int log_pages = 8192;

// From each version to the next one.
constexpr const char* migrations[] = {
    "CREATE TABLE requests(request BLOB PRIMARY KEY, life INTEGER NOT NULL, choices INTEGER NOT "
    "NULL, tenant TEXT NOT NULL, model TEXT NOT NULL, arrived_ms INTEGER NOT NULL, deadline_ms "
    "INTEGER NOT NULL, prompt BLOB NOT NULL, parameters BLOB NOT NULL);"
    "CREATE TABLE choices(request BLOB NOT NULL, choice INTEGER NOT NULL, numerics_id TEXT, "
    "outcome BLOB, tokens INTEGER, ended_ms INTEGER, PRIMARY KEY(request, choice)) WITHOUT ROWID;"
    "CREATE TABLE owner(incarnation INTEGER NOT NULL, mesh TEXT NOT NULL);"
    "INSERT INTO owner VALUES(0, '');"};
static_assert(std::size(migrations) == version);

}  // namespace

JournalClock JournalClock::now() {
  const auto day = std::chrono::duration_cast<std::chrono::milliseconds>(
      system_clock::now().time_since_epoch());
  return {aorta::now(), day.count()};
}

void JournalFile::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

JournalFile::JournalFile(JournalFileOptions options) : options_(std::move(options)) {}

JournalFile::~JournalFile() = default;

Error JournalFile::failure() const {
  const int result = sqlite3_extended_errcode(database_.get());
  return {code_of(result), fmt::format("{}: {}", options_.path,
                                       sentence_of(result, sqlite3_errmsg(database_.get())))};
}

Result<void> JournalFile::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure();
}

void JournalFile::roll_back() {
  if (sqlite3_get_autocommit(database_.get())) return;
  sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<std::int64_t> JournalFile::number(const char* sql) {
  Statement statement(database_.get(), sql);
  if (!statement.ok() || !statement.begin().step()) return failure();
  return statement.number_at(0);
}

namespace {

// What SQLite makes beside the file has its mode.
Result<void> make_private(const std::string& path) {
  ::mkdir(std::filesystem::path(path).parent_path().c_str(), 0700);  // it may have gone
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    const ErrorCode code = errno == ENOSPC ? ErrorCode::resource_exhausted : ErrorCode::io;
    return Error{code, fmt::format("{}: {}: {}", path, std::strerror(errno), writable_remedy)};
  }
  ::fchmod(fd, 0600);
  ::close(fd);
  return {};
}

// The last one is kept, so that somebody can look at it.
std::string set_aside(const std::string& path) {
  const std::string aside = path + ".damaged";
  for (const char* part : {"", "-wal", "-shm"}) {
    std::error_code ignored;
    std::filesystem::remove(aside + part, ignored);
    std::filesystem::rename(path + part, aside + part, ignored);
  }
  return aside;
}

}  // namespace

Result<JournalFile::Opened> JournalFile::open(const JournalFileOptions& options) {
  Opened opened;
  for (bool again = false;; again = true) {
    if (auto made = make_private(options.path); !made) return made.error();
    opened.file.reset(new JournalFile(options));
    const auto connected = opened.file->connect();
    if (connected) return opened;
    opened.file.reset();
    if (connected.error().code != ErrorCode::corrupt || again) return connected.error();
    opened.warning = fmt::format(
        "the journal is damaged ({}): requests that were accepted before this start cannot be "
        "resumed; the file is kept as {}",
        connected.error().message, set_aside(options.path));
  }
}

Result<void> JournalFile::connect() {
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
  const int result = sqlite3_open_v2(options_.path.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) return failure();
  sqlite3_busy_timeout(database, busy_ms);
  const auto id = number("PRAGMA application_id");
  if (!id) return id.error();
  const auto found = number("PRAGMA user_version");
  if (!found) return found.error();
  const auto tables = number("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables.error();
  if (*id != application && (*id != 0 || *tables != 0)) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} is not a journal of aorta: move it away, or name another folder "
                             "with journal.folder",
                             options_.path)};
  }
  if (*found > version) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} was written by a newer aorta (journal version {}, this one knows "
                             "{}): run that, or move the file away",
                             options_.path, *found, version)};
  }
  const auto checked = number("SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'");
  if (!checked) return checked.error();
  if (*checked != 0) {
    return Error{ErrorCode::corrupt, fmt::format("{}: its check fails", options_.path)};
  }
  if (auto ready = prepare(); !ready) return ready;
  return own();
}

Result<void> JournalFile::prepare() {
  const std::string settings = fmt::format(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA secure_delete=FAST;"
      "PRAGMA wal_autocheckpoint={}; PRAGMA journal_size_limit={}; PRAGMA max_page_count={};",
      options_.sync_each ? "FULL" : "NORMAL", log_pages, log_pages * page_bytes,
      std::max<std::uint64_t>(16, options_.max_bytes / page_bytes));
  if (auto set = execute(settings.c_str()); !set) return set;
  auto found = number("PRAGMA user_version");
  if (!found) return found.error();
  for (std::int64_t from = *found; from < version; ++from) {
    const std::string step = fmt::format(
        "BEGIN IMMEDIATE; PRAGMA application_id={}; {} PRAGMA user_version={}; COMMIT", application,
        migrations[from], from + 1);
    if (auto done = execute(step.c_str()); !done) {
      roll_back();
      return done;
    }
  }
  const auto make = [&](const char* sql) {
    return std::make_unique<Statement>(database_.get(), sql);
  };
  insert_ = make("INSERT OR REPLACE INTO requests VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
  numerics_ = make(
      "INSERT INTO choices(request, choice, numerics_id) SELECT request, ?2, ?3 FROM requests "
      "WHERE request = ?1 ON CONFLICT DO UPDATE SET numerics_id = excluded.numerics_id");
  end_ = make(
      "INSERT INTO choices(request, choice, outcome, tokens, ended_ms) SELECT request, ?2, ?3, ?4, "
      "?5 FROM requests WHERE request = ?1 ON CONFLICT DO UPDATE SET outcome = excluded.outcome, "
      "tokens = excluded.tokens, ended_ms = excluded.ended_ms");
  erase_ = make("DELETE FROM requests WHERE request = ?");
  erase_choices_ = make("DELETE FROM choices WHERE request = ?");
  owner_ = make("SELECT incarnation, mesh FROM owner");
  own_ = make("UPDATE owner SET incarnation = ?, mesh = ?");
  for (const auto* one : {&insert_, &numerics_, &end_, &erase_, &erase_choices_, &owner_, &own_}) {
    if (!(*one)->ok()) return failure();
  }
  return {};
}

// From here on an earlier life that still runs can write no more, and what it has left belongs to
// another life: on the disk before anybody uses that.
Result<void> JournalFile::own() {
  if (auto begun = execute("PRAGMA synchronous=FULL; BEGIN IMMEDIATE"); !begun) return begun;
  auto done = check_owner();
  if (done) done = sign(options_.owner);
  if (done) done = execute("UPDATE requests SET life = life + 1; COMMIT");
  if (!done) {
    roll_back();
    return done;
  }
  return options_.sync_each ? Result<void>() : execute("PRAGMA synchronous=NORMAL");
}

Result<void> JournalFile::sign(Incarnation owner) {
  const auto number = static_cast<std::int64_t>(owner.value);
  return own_->begin().number(number).text(options_.mesh).run() ? Result<void>() : failure();
}

// SQLite does not write what was there before.
Result<void> JournalFile::touch() {
  auto done = sign({});
  return done ? sign(options_.owner) : done;
}

// Whose it is: another mesh's that was told the same folder, or a newer life's of this admission.
Result<void> JournalFile::check_owner() {
  if (!owner_->begin().step()) return failure();
  const auto owner = owner_->number_at(0);
  const std::string mesh = owner_->bytes_at(1);
  owner_->begin();  // done with the row
  if (owner != 0 && mesh != options_.mesh) {
    return Error{ErrorCode::conflict,
                 fmt::format("{} is the journal of another mesh, with the state folder {}: name "
                             "another folder with journal.folder or, if that mesh is gone, move "
                             "the file away",
                             options_.path, mesh)};
  }
  if (owner <= static_cast<std::int64_t>(options_.owner.value)) return {};
  return Error{ErrorCode::conflict,
               fmt::format("{} belongs to a newer admission of this name: this one is to stop. If "
                           "there is no other, this host's clock was set back: set it right, or "
                           "move the file away",
                           options_.path)};
}

Result<std::vector<JournalEntry>> JournalFile::read(const JournalClock& clock,
                                                    std::size_t& unreadable) {
  std::map<RequestId, JournalEntry> entries;
  std::vector<std::string> broken;
  Statement requests(database_.get(), "SELECT * FROM requests");
  if (!requests.ok()) return failure();
  for (requests.begin(); requests.step();) {
    const auto request = request_of_bytes(requests.bytes_at(0));
    auto prompt = ids_of_bytes(requests.bytes_at(7));
    JournalRecord record{.request = request.value_or(RequestId{}),
                         .choices = static_cast<std::uint32_t>(requests.number_at(2)),
                         .life = static_cast<std::uint32_t>(requests.number_at(1)),
                         .tenant = requests.bytes_at(3),
                         .model = requests.bytes_at(4),
                         .arrived = clock.from_unix_ms(requests.number_at(5)),
                         .deadline = clock.from_unix_ms(requests.number_at(6))};
    const bool readable = request && prompt && record.choices > 0 &&
                          requests.number_at(1) < std::int64_t{1} << 31 &&
                          read_parameters(requests.bytes_at(8), record);
    if (!readable) {
      broken.push_back(requests.bytes_at(0));
      continue;
    }
    record.prompt = *std::move(prompt);
    entries[*request].record = std::move(record);
  }
  if (requests.result() != SQLITE_DONE) return failure();
  Statement choices(database_.get(), "SELECT * FROM choices");
  if (!choices.ok()) return failure();
  for (choices.begin(); choices.step();) {
    const auto entry = entries.find(request_of_bytes(choices.bytes_at(0)).value_or(RequestId{}));
    if (entry == entries.end()) continue;
    const auto choice = static_cast<std::uint32_t>(choices.number_at(1));
    if (auto numerics = choices.bytes_at(2); !numerics.empty()) {
      entry->second.numerics_ids[choice] = std::move(numerics);
    }
    const auto outcome = outcome_of_bytes(choices.bytes_at(3));
    if (!outcome || choice >= entry->second.record.choices) continue;
    entry->second.endings.push_back({choice, *outcome,
                                     TokenIndex{static_cast<std::uint32_t>(choices.number_at(4))},
                                     clock.from_unix_ms(choices.number_at(5))});
  }
  if (choices.result() != SQLITE_DONE) return failure();
  for (const std::string& request : broken) erase_->begin().blob(request).run();
  unreadable = broken.size();
  std::vector<JournalEntry> all;
  for (auto& [request, entry] : entries) all.push_back(std::move(entry));
  return all;
}

Result<void> JournalFile::apply(std::span<const JournalCommand> commands,
                                const JournalClock& clock) {
  int moved = 0;
  sqlite3_file_control(database_.get(), nullptr, SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved != 0) {
    return Error{ErrorCode::not_found,
                 fmt::format("{} was deleted or moved away while it was in use: a new one is made",
                             options_.path)};
  }
  Result<void> done = execute("BEGIN IMMEDIATE");
  if (!done) return done;
  done = check_owner();
  if (done && commands.empty()) done = touch();
  for (std::size_t i = 0; done && i < commands.size(); ++i) done = write(commands[i], clock);
  if (done) done = execute("COMMIT");
  if (!done) roll_back();
  return done;
}

Result<void> JournalFile::write(const JournalRecord& record, const JournalClock& clock) {
  const std::string request = bytes_of(record.request), prompt = bytes_of(record.prompt),
                    parameters = parameters_of(record);
  const bool done = insert_->begin()
                        .blob(request)
                        .number(record.life)
                        .number(record.choices)
                        .text(record.tenant)
                        .text(record.model)
                        .number(clock.to_unix_ms(record.arrived))
                        .number(clock.to_unix_ms(record.deadline))
                        .blob(prompt)
                        .blob(parameters)
                        .run();
  return done ? Result<void>() : failure();
}

Result<void> JournalFile::write(const JournalCommand& command, const JournalClock& clock) {
  bool done = false;
  if (const auto* write_one = std::get_if<JournalWrite>(&command)) {
    return write(write_one->record, clock);
  } else if (const auto* numerics = std::get_if<JournalNumerics>(&command)) {
    const std::string request = bytes_of(numerics->request);
    done = numerics_->begin().blob(request).number(numerics->choice).text(numerics->numerics_id)
               .run();
  } else if (const auto* end = std::get_if<JournalEnd>(&command)) {
    const std::string request = bytes_of(end->request), outcome = bytes_of(end->ending.outcome);
    done = end_->begin()
               .blob(request)
               .number(end->ending.choice)
               .blob(outcome)
               .number(end->ending.tokens.value)
               .number(clock.to_unix_ms(end->ending.at))
               .run();
  } else if (const auto* erase = std::get_if<JournalErase>(&command)) {
    const std::string request = bytes_of(erase->request);
    done = erase_->begin().blob(request).run() && erase_choices_->begin().blob(request).run();
  }
  return done ? Result<void>() : failure();
}

JournalSync::JournalSync(const std::string& path) : path_(path) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
  sqlite3_open_v2(path.c_str(), &database_, flags, nullptr);
  sqlite3_exec(database_, "PRAGMA synchronous=NORMAL", nullptr, nullptr, nullptr);
}

JournalSync::~JournalSync() { sqlite3_close_v2(database_); }

Result<void> JournalSync::sync() {
  const int result = sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                               nullptr, nullptr);
  if (result == SQLITE_OK || result == SQLITE_BUSY) return {};
  return Error{code_of(result), fmt::format("{}: {}", path_, sqlite3_errmsg(database_))};
}

}  // namespace aorta::admission
