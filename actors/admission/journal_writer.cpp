#include "actors/admission/journal_writer.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.hpp"

namespace aorta::admission {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t most_in_one = 256;  // commands of a transaction

const RequestId& request_of(const JournalCommand& command) {
  if (const auto* write = std::get_if<JournalWrite>(&command)) return write->record.request;
  if (const auto* numerics = std::get_if<JournalNumerics>(&command)) return numerics->request;
  if (const auto* end = std::get_if<JournalEnd>(&command)) return end->request;
  return std::get<JournalErase>(command).request;
}

std::vector<RequestId> writes_among(std::span<const JournalCommand> commands) {
  std::vector<RequestId> requests;
  for (const JournalCommand& command : commands) {
    if (std::holds_alternative<JournalWrite>(command)) requests.push_back(request_of(command));
  }
  return requests;
}

}  // namespace

Result<OpenedJournal> open_journal(const JournalFileOptions& options) {
  auto opened = JournalFile::open(options);
  if (!opened) return opened.error();
  if (!opened->warning.empty()) log::warning(opened->warning, {{"file", options.path}});
  std::size_t unreadable = 0;
  auto entries = opened->file->read(JournalClock::now(), unreadable);
  if (!entries) {
    log::error("the journal cannot be read: what was accepted before cannot be resumed",
               {{"reason", entries.error().message}});
    return OpenedJournal{std::move(opened->file), {}, {}};
  }
  if (unreadable > 0) {
    log::warning("records of the journal cannot be read and are dropped",
                 {{"file", options.path}, {"records", std::to_string(unreadable)}});
  }
  return OpenedJournal{std::move(opened->file), std::move(*entries), {}};
}

struct JournalWriter::Impl {
  Impl(JournalWriterOptions given, std::unique_ptr<JournalFile> opened, Events told)
      : options(std::move(given)), events(std::move(told)), file(std::move(opened)), failing(!file) {
    writing = std::thread([this] { write_all(); });
    syncing = std::thread([this] { sync_all(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      closing = true;
    }
    wake.notify_one();
    writing.join();
    wake_sync.notify_one();
    syncing.join();
  }

  // ── The writing thread ─────────────────────────────────────────────────────────────────────
  void write_all() {
    std::unique_lock lock(mutex);
    for (;;) {
      const bool waiting = !owed.empty() || failing;
      const auto something = [&] { return closing || !queue.empty(); };
      if (waiting) {
        wake.wait_for(lock, options.retry_every, something);
      } else {
        wake.wait(lock, something);
      }
      const std::size_t count = std::min(queue.size(), most_in_one);
      std::vector<JournalCommand> batch(std::make_move_iterator(queue.begin()),
                                        std::make_move_iterator(queue.begin() + count));
      queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
      const bool last = closing && queue.empty();
      lock.unlock();
      work(std::move(batch));
      lock.lock();
      if (last && queue.empty()) return;
    }
  }

  void work(std::vector<JournalCommand> batch) {
    if (const auto ready = file ? Result<void>() : open(); !ready) {
      events_written(writes_among(batch), ready);
      return owe(std::move(batch));
    }
    std::vector<JournalCommand> all = std::exchange(owed, {});
    all.insert(all.end(), std::make_move_iterator(batch.begin()),
               std::make_move_iterator(batch.end()));
    if (all.empty() && !failing) return;
    const Result<void> done = file->apply(all, JournalClock::now());
    if (done) {
      note_written();
      return events_written(writes_among(all), {});
    }
    tell(done.error());
    if (all.size() > 1 && !is_lost(done.error())) return one_by_one(std::move(all));
    events_written(writes_among(all), done);
    owe(std::move(all));
    if (is_lost(done.error())) file.reset();
  }

  static bool is_lost(const Error& error) {
    return error.code == ErrorCode::corrupt || error.code == ErrorCode::not_found;
  }

  // What fits goes in, whatever else does not.
  void one_by_one(std::vector<JournalCommand> all) {
    for (JournalCommand& command : all) {
      const std::span<const JournalCommand> one(&command, 1);
      const Result<void> done = file->apply(one, JournalClock::now());
      events_written(writes_among(one), done);
      if (done) note_written();
      if (!done) owe({std::move(command)});
    }
  }

  // A record that was refused is written no more. The rest is tried again, before what comes.
  void owe(std::vector<JournalCommand> commands) {
    for (JournalCommand& command : commands) {
      const RequestId request = request_of(command);
      const bool erases = std::holds_alternative<JournalErase>(command);
      if (erases || std::holds_alternative<JournalWrite>(command)) {
        std::erase_if(owed, [&](const auto& other) { return request_of(other) == request; });
      }
      if (!std::holds_alternative<JournalWrite>(command)) owed.push_back(std::move(command));
    }
  }

  Result<void> open() {
    if (unopened && steady_clock::now() < open_again) return *unopened;
    open_again = steady_clock::now() + options.retry_every;
    auto opened = open_journal(options.file);
    if (!opened) {
      unopened = opened.error();
      tell(opened.error());
      return *unopened;
    }
    unopened.reset();
    file = std::move(opened->file);
    ++files;
    events.opened(std::move(opened->entries));
    note_written();
    return {};
  }

  void events_written(std::vector<RequestId> requests, const Result<void>& result) {
    if (!requests.empty()) events.written(std::move(requests), result);
  }

  // Once, and again when it has worked in between.
  void tell(const Error& error) {
    if (std::exchange(failing, true)) return;
    log::error("the journal cannot be written: requests are refused until it can",
               {{"reason", error.message}});
    events.state(error);
  }

  void note_written() {
    if (std::exchange(failing, false)) {
      log::info("the journal can be written again", {});
      events.state({});
    }
    {
      const std::lock_guard lock(mutex);
      if (unsynced) return;
      unsynced = true;
    }
    wake_sync.notify_one();
  }

  // ── The syncing thread ─────────────────────────────────────────────────────────────────────
  void sync_all() {
    std::unique_ptr<JournalSync> sync;
    unsigned synced_file = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake_sync.wait(lock, [&] { return unsynced || closing; });
      if (!closing) wake_sync.wait_for(lock, options.sync_every, [&] { return closing; });
      if (!unsynced && closing) return;
      unsynced = false;
      lock.unlock();
      if (const unsigned now = files; !sync || now != synced_file) {
        sync = std::make_unique<JournalSync>(options.file.path);
        synced_file = now;
      }
      if (const auto synced = sync->sync(); !synced) {
        log::warning("the journal cannot be synced", {{"reason", synced.error().message}});
      }
      lock.lock();
    }
  }

  const JournalWriterOptions options;
  const Events events;
  std::mutex mutex;
  std::condition_variable wake, wake_sync;
  std::deque<JournalCommand> queue;
  bool closing = false, unsynced = false;
  std::atomic<unsigned> files = 0;  // opened after the first
  // Of the writing thread alone.
  std::unique_ptr<JournalFile> file;
  std::vector<JournalCommand> owed;
  std::optional<Error> unopened;  // why, when it was last tried
  steady_clock::time_point open_again{};
  bool failing;
  std::thread writing, syncing;  // last: they use all of the above
};

JournalWriter::JournalWriter(JournalWriterOptions options, std::unique_ptr<JournalFile> file,
                             Events events)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(file), std::move(events))) {}

JournalWriter::~JournalWriter() { impl_->stop(); }

void JournalWriter::add(std::vector<JournalCommand> commands) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->queue.insert(impl_->queue.end(), std::make_move_iterator(commands.begin()),
                        std::make_move_iterator(commands.end()));
  }
  impl_->wake.notify_one();
}

}  // namespace aorta::admission
