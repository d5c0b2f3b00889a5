#pragma once
// The cache's core: what executors of a host share and what outlives them.
//
// Packed weights: executors ask for the pack of a GGUF file; it is made once however many ask, all
// are answered, and each leases it while it is a member. Packs that nobody leases go, the longest
// unused first, when all together are over the limit.
// KV blocks: they are in a file that executors map; here it is made, counted and removed. Its
// blocks are of one size, that of who asks first; another one's file takes its place when nobody
// leases it.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/attendance.hpp"
#include "base/result.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::cache {

struct CacheOptions {
  actors::AttendanceOptions attendance;
  mesh::PeeringOptions peering;
  std::uint64_t max_bytes = 64ull << 30;  // of packs; leased ones are kept even beyond it
  // A lease whose holder is not listed as a member ends after so long: a scheduler that has just
  // restarted does not know everybody yet, nor does one know an executor that is only starting.
  Duration lease_grace = std::chrono::seconds(30);
  bool shares_blocks = true;  // there may be a store of KV blocks
};

struct PackFile {
  std::string path;
  std::uint64_t bytes = 0;
};

// For the shell's worker.
struct PackJob {
  std::string gguf_path;
};

struct StoreJob {
  std::uint64_t block_bytes = 0;
};

// Of the store of KV blocks, since it was made.
struct StoreFigures {
  std::uint64_t bytes = 0;  // that its blocks occupy
  std::uint64_t blocks = 0, blocks_used = 0;
  std::uint64_t hits = 0, misses = 0, saves = 0, evictions = 0;
  std::uint64_t refused = 0;  // not saved for want of memory
  std::uint64_t torn = 0;     // found, but not whole
};

class Cache final : public mesh::Service {
 public:
  // `found`: packs that lie in the folder already, the longest unused first.
  Cache(mesh::Hello self, const CacheOptions& options, const std::vector<PackFile>& found);

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  // From the worker.
  void on_progress(const std::string& gguf_path, std::uint32_t percent, mesh::Outbox& out);
  void on_packed(const std::string& gguf_path, const Result<PackFile>& pack, TimePoint now,
                 mesh::Outbox& out);

  // From the shell, after take_store_job(): the store's path.
  void on_store(const Result<std::string>& path, mesh::Outbox& out);
  void note(const StoreFigures& figures) { store_figures_ = figures; }

  std::optional<StoreJob> take_store_job() { return std::exchange(store_job_, std::nullopt); }
  std::vector<PackJob> take_jobs() { return std::exchange(jobs_, {}); }
  std::vector<std::string> take_evictions() { return std::exchange(evictions_, {}); }

 private:
  struct Packing {
    std::set<mesh::PeerId> waiters;
    std::uint32_t percent = 0;
  };
  using Leases = std::map<std::string, TimePoint>;  // holder → when it was last known to be there
  struct Pack {
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  // grows with each use: the smallest was unused for the longest
    Leases leases;
  };
  struct Store {
    std::uint64_t block_bytes = 0;  // 0: there is none
    std::string path;               // empty: it is being made
    std::set<mesh::PeerId> waiters;
    Leases leases;
  };

  void on_request(const mesh::PeerId& from, const mesh::PackRequest& request, TimePoint now,
                  mesh::Outbox& out);
  void on_store_request(const mesh::PeerId& from, std::uint64_t block_bytes, TimePoint now,
                        mesh::Outbox& out);
  static void refresh(Leases& leases, const mesh::Member& member, TimePoint now);
  void on_membership(const mesh::Membership& membership, TimePoint now);
  void end_leases(TimePoint now);
  void evict();
  std::size_t leases() const;
  std::uint64_t bytes() const;
  std::string audit_json() const;
  std::vector<mesh::Figure> figures() const;

  CacheOptions options_;
  mesh::Peering peering_;
  actors::Attendance attendance_;
  std::map<std::string, Packing> packing_;  // by GGUF path
  std::map<std::string, Pack> packs_;       // by their own path
  Store store_;
  StoreFigures store_figures_;
  std::optional<StoreJob> store_job_;
  std::uint64_t uses_ = 0;
  std::vector<PackJob> jobs_;
  std::vector<std::string> evictions_;
  std::uint64_t requests_total_ = 0, failures_total_ = 0, evictions_total_ = 0;
};

}  // namespace aorta::cache
