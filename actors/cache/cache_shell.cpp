#include "actors/cache/cache_shell.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "engine/model/pack.hpp"

namespace aorta::cache {

namespace fs = std::filesystem;

namespace {
// Counting looks at each of the store's slots, 64 bytes of each.
constexpr Duration look_every = std::chrono::milliseconds(500);
}  // namespace

std::vector<PackFile> find_packs(const std::string& folder) {
  std::vector<std::pair<fs::file_time_type, PackFile>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".pack") continue;
    std::error_code gone;  // by another process, while we look
    const auto bytes = entry.file_size(gone);
    const auto time = entry.last_write_time(gone);
    if (!gone) found.push_back({time, {entry.path().string(), bytes}});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<PackFile> files;
  for (auto& [time, file] : found) files.push_back(std::move(file));
  return files;
}

// Jobs go in by the loop's thread; what comes of them is posted back as turns.
class CacheShell::Worker {
 public:
  Worker(CacheShell& shell, std::string folder)
      : shell_(shell), folder_(std::move(folder)), thread_([this] { run(); }) {}

  ~Worker() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void add(PackJob job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  struct GivenUp {};  // thrown through pack_model() by its progress callback

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return closing_ || !jobs_.empty(); });
      if (closing_) return;
      const PackJob job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      try {
        pack(job.gguf_path);
      } catch (const GivenUp&) {
      }
      lock.lock();
    }
  }

  void pack(const std::string& gguf_path) {
    std::uint32_t told = 0;
    const auto progress = [&](std::uint64_t done, std::uint64_t total) {
      {
        std::lock_guard lock(mutex_);
        if (closing_) throw GivenUp{};
      }
      const auto percent = static_cast<std::uint32_t>(total == 0 ? 0 : done * 100 / total);
      if (percent <= told) return;
      told = percent;
      shell_.post([this, gguf_path, percent](TimePoint, mesh::Outbox& out) {
        shell_.cache_.on_progress(gguf_path, percent, out);
      });
    };
    const Result<std::string> path = engine::pack_model(gguf_path, folder_, progress);
    std::error_code gone;
    Result<PackFile> packed = path.ok()
                                  ? Result<PackFile>(PackFile{*path, fs::file_size(*path, gone)})
                                  : Result<PackFile>(path.error());
    if (!packed.ok()) {
      log::warning("cannot pack", {{"file", gguf_path}, {"reason", packed.error().message}});
    }
    shell_.post([this, gguf_path, packed](TimePoint now, mesh::Outbox& out) {
      shell_.cache_.on_packed(gguf_path, packed, now, out);
    });
  }

  CacheShell& shell_;
  std::string folder_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<PackJob> jobs_;
  bool closing_ = false;
  std::thread thread_;  // last: it uses all of the above
};

CacheShell::CacheShell(actors::Host& host, std::unique_ptr<Cache> core,
                       const std::vector<std::string>& binds, CacheFiles files)
    : Shell(host, std::move(core), binds),
      cache_(static_cast<Cache&>(Shell::core())),
      files_(std::move(files)),
      worker_(std::make_unique<Worker>(*this, files_.pack_folder)) {
  if (files_.store_bytes == 0) remove_store();
}

CacheShell::~CacheShell() = default;

void CacheShell::after_turn(TimePoint now) {
  if (const auto job = cache_.take_store_job()) make_store(*job);
  look_after_store(now);
  for (PackJob& job : cache_.take_jobs()) worker_->add(std::move(job));
  for (const std::string& path : cache_.take_evictions()) {
    std::error_code error;
    fs::remove(path, error);
    log::info("evicted a pack", {{"path", path}, {"error", error ? error.message() : "none"}});
  }
}

// What an earlier life of this service has left is taken over with what it holds.
void CacheShell::make_store(const StoreJob& job) {
  store_.reset();
  auto made =
      engine::SharedBlockStore::create(files_.store_path, files_.store_bytes, job.block_bytes);
  Result<std::string> path = files_.store_path;
  if (made) {
    store_ = std::move(*made);
    next_look_ = {};
  } else {
    path = made.error();
    log::warning("executors share no KV blocks", {{"reason", path.error().message}});
  }
  post([this, path](TimePoint, mesh::Outbox& out) { cache_.on_store(path, out); });
}

void CacheShell::look_after_store(TimePoint now) {
  if (store_ == nullptr || now < next_look_) return;
  next_look_ = now + look_every;
  if (const auto slots = store_->reclaim(); slots > 0) {
    log::info("emptied KV blocks that nobody finished", {{"blocks", std::to_string(slots)}});
  }
  const engine::SharedBlockStore::Figures f = store_->figures();
  cache_.note({.bytes = f.claimed_bytes,
               .blocks = f.slots,
               .blocks_used = f.full,
               .hits = f.loaded,
               .misses = f.missed,
               .saves = f.saved,
               .evictions = f.evicted,
               .refused = f.refused,
               .torn = f.torn});
}

// Also one that an earlier life of this service has left and nobody has asked this one for. Another
// that has taken our place has taken the file over too.
void CacheShell::leave(const mesh::Outbox::Leave& leave) {
  if (leave.exit_code == 0) remove_store();
  Shell::leave(leave);
}

void CacheShell::remove_store() {
  if (store_ == nullptr) {
    auto left = engine::SharedBlockStore::open(files_.store_path, "");
    if (left) store_ = std::move(*left);
  }
  if (store_ != nullptr) store_->remove();
  store_.reset();
}

}  // namespace aorta::cache
