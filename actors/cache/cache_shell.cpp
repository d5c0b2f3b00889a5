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
                       const std::vector<std::string>& binds, std::string folder)
    : Shell(host, std::move(core), binds),
      cache_(static_cast<Cache&>(Shell::core())),
      worker_(std::make_unique<Worker>(*this, std::move(folder))) {}

CacheShell::~CacheShell() = default;

void CacheShell::after_turn(TimePoint) {
  for (PackJob& job : cache_.take_jobs()) worker_->add(std::move(job));
  for (const std::string& path : cache_.take_evictions()) {
    std::error_code error;
    fs::remove(path, error);
    log::info("evicted a pack", {{"path", path}, {"error", error ? error.message() : "none"}});
  }
}

}  // namespace aorta::cache
