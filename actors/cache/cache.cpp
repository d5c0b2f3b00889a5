#include "actors/cache/cache.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::cache {

using mesh::ServiceState;

Cache::Cache(mesh::Hello self, const CacheOptions& options, const std::vector<PackFile>& found)
    : options_(options),
      peering_(std::move(self), options_.peering),
      attendance_(peering_, options_.attendance) {
  for (const PackFile& file : found) packs_[file.path] = {file.bytes, ++uses_, {}};
}

void Cache::start(TimePoint now, mesh::Outbox& out) {
  attendance_.start(now, out);
  evict();
}

void Cache::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                    mesh::Outbox& out) {
  using Outcome = mesh::Peering::Outcome;
  const Outcome outcome = peering_.handle(from, message, now, out);
  if (outcome == Outcome::joined || outcome == Outcome::restarted) {
    attendance_.beat(ServiceState::ready, now, out);
  }
  if (outcome != Outcome::none) return;
  if (auto* request = std::get_if<mesh::PackRequest>(&message)) {
    on_request(from, *request, now, out);
  } else if (auto* membership = std::get_if<mesh::Membership>(&message)) {
    on_membership(*membership, now);
  } else if (auto* audit = std::get_if<mesh::AuditRequest>(&message)) {
    out.send(from, mesh::AuditReply{audit->token, audit_json()});
  } else if (std::holds_alternative<mesh::Drain>(message)) {
    drain(now, out);
  }
}

// An executor that is gone does not ask again; what it leased ends with its membership.
void Cache::unreachable(const mesh::PeerId& peer, TimePoint, mesh::Outbox&) {
  for (auto& [path, packing] : packing_) packing.waiters.erase(peer);
  store_.waiters.erase(peer);
}

void Cache::on_request(const mesh::PeerId& from, const mesh::PackRequest& request, TimePoint now,
                       mesh::Outbox& out) {
  if (request.gguf_path.empty()) return on_store_request(from, request.kv_block_bytes, now, out);
  ++requests_total_;
  auto [it, added] = packing_.try_emplace(request.gguf_path);
  it->second.waiters.insert(from);
  // Also when it was packed before: the file may have changed or the pack be gone. The worker
  // finds that out, and answers at once when all is well.
  if (added) jobs_.push_back({request.gguf_path});
  if (!added) out.send(from, mesh::PackReply{request.gguf_path, false, "", it->second.percent, ""});
}

// One that cannot share does without: its blocks are its own.
void Cache::on_store_request(const mesh::PeerId& from, std::uint64_t block_bytes, TimePoint now,
                             mesh::Outbox& out) {
  mesh::PackReply reply{.ready = true};
  const bool others_share = store_.block_bytes != block_bytes && !store_.leases.empty();
  if (!options_.shares_blocks || block_bytes == 0 || others_share) {
    out.send(from, std::move(reply));
    return;
  }
  if (store_.block_bytes != block_bytes) {
    store_ = {.block_bytes = block_bytes};
    store_job_ = StoreJob{block_bytes};
  }
  store_.leases[from.name] = now;
  if (store_.path.empty()) {
    store_.waiters.insert(from);
    return;
  }
  reply.kv_store_path = store_.path;
  out.send(from, std::move(reply));
}

void Cache::on_store(const Result<std::string>& path, mesh::Outbox& out) {
  mesh::PackReply reply{.ready = true};
  if (path) reply.kv_store_path = *path;
  for (const mesh::PeerId& waiter : store_.waiters) out.send(waiter, reply);
  store_.waiters.clear();
  store_.path = reply.kv_store_path;
  if (!path) store_ = {};
}

void Cache::on_progress(const std::string& gguf_path, std::uint32_t percent, mesh::Outbox& out) {
  auto it = packing_.find(gguf_path);
  if (it == packing_.end()) return;
  it->second.percent = percent;
  for (const mesh::PeerId& waiter : it->second.waiters) {
    out.send(waiter, mesh::PackReply{gguf_path, false, "", percent, ""});
  }
}

void Cache::on_packed(const std::string& gguf_path, const Result<PackFile>& pack, TimePoint now,
                      mesh::Outbox& out) {
  auto it = packing_.find(gguf_path);
  if (it == packing_.end()) return;
  mesh::PackReply reply{gguf_path, false, "", 0, ""};
  if (pack.ok()) {
    reply.ready = true;
    reply.pack_path = pack->path;
    reply.percent = 100;
    Pack& entry = packs_[pack->path];
    entry.bytes = pack->bytes;
    entry.used = ++uses_;
    for (const mesh::PeerId& waiter : it->second.waiters) entry.leases[waiter.name] = now;
  } else {
    ++failures_total_;
    reply.error = pack.error().message;
  }
  for (const mesh::PeerId& waiter : it->second.waiters) out.send(waiter, reply);
  packing_.erase(it);
  evict();
}

void Cache::on_membership(const mesh::Membership& membership, TimePoint now) {
  for (const mesh::Member& member : membership.members) {
    for (auto& [path, pack] : packs_) refresh(pack.leases, member, now);
    refresh(store_.leases, member, now);
  }
  end_leases(now);
}

void Cache::refresh(Leases& leases, const mesh::Member& member, TimePoint now) {
  const auto lease = leases.find(member.self.name);
  if (lease == leases.end()) return;
  if (member.state == ServiceState::dead) {
    leases.erase(lease);
  } else {
    lease->second = now;
  }
}

void Cache::end_leases(TimePoint now) {
  const auto over = [&](const auto& lease) { return now - lease.second >= options_.lease_grace; };
  for (auto& [path, pack] : packs_) std::erase_if(pack.leases, over);
  std::erase_if(store_.leases, over);
  evict();
}

void Cache::evict() {
  std::uint64_t total = bytes();
  while (total > options_.max_bytes) {
    auto oldest = packs_.end();
    for (auto it = packs_.begin(); it != packs_.end(); ++it) {
      if (!it->second.leases.empty()) continue;
      if (oldest == packs_.end() || it->second.used < oldest->second.used) oldest = it;
    }
    if (oldest == packs_.end()) return;  // all are in use
    total -= oldest->second.bytes;
    evictions_.push_back(oldest->first);
    ++evictions_total_;
    packs_.erase(oldest);
  }
}

void Cache::drain(TimePoint now, mesh::Outbox& out) {
  attendance_.beat(ServiceState::stopping, now, out);
  attendance_.tell_both(mesh::Goodbye{}, out);
  out.leave = mesh::Outbox::Leave{0, "drained"};
}

void Cache::tick(TimePoint now, mesh::Outbox& out) {
  peering_.tick(now, out);
  attendance_.beat(ServiceState::ready, now, out);
  if (!attendance_.report_due(now)) return;
  end_leases(now);
  attendance_.report({ServiceState::ready, figures()}, now, out);
}

TimePoint Cache::next_tick() const {
  return std::min(peering_.next_tick(), attendance_.next_tick());
}

std::size_t Cache::leases() const {
  std::size_t count = 0;
  for (const auto& [path, pack] : packs_) count += pack.leases.size();
  return count;
}

std::uint64_t Cache::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [path, pack] : packs_) sum += pack.bytes;
  return sum;
}

std::string Cache::audit_json() const {
  return fmt::format(
      R"({{"service":"cache","name":"{}","packs":{},"bytes":{},"leases":{},"packing":{},)"
      R"("kv_blocks":{},"kv_blocks_used":{},"kv_bytes":{},"kv_leases":{},"balanced":true}})",
      self().self.name, packs_.size(), bytes(), leases(), packing_.size(), store_figures_.blocks,
      store_figures_.blocks_used, store_figures_.bytes, store_.leases.size());
}

std::vector<mesh::Figure> Cache::figures() const {
  using mesh::FigureKind;
  const auto gauge = [](const char* name, double value) {
    return mesh::Figure{name, "", value, FigureKind::gauge};
  };
  const auto counter = [](const char* name, double value) {
    return mesh::Figure{name, "", value, FigureKind::counter};
  };
  return {gauge("aorta_cache_packs", double(packs_.size())),
          gauge("aorta_cache_bytes", double(bytes())),
          gauge("aorta_cache_leases", double(leases())),
          gauge("aorta_cache_packing", double(packing_.size())),
          counter("aorta_cache_requests_total", double(requests_total_)),
          counter("aorta_cache_failures_total", double(failures_total_)),
          counter("aorta_cache_evictions_total", double(evictions_total_)),
          gauge("aorta_cache_kv_blocks", double(store_figures_.blocks)),
          gauge("aorta_cache_kv_blocks_used", double(store_figures_.blocks_used)),
          gauge("aorta_cache_kv_bytes", double(store_figures_.bytes)),
          gauge("aorta_cache_kv_leases", double(store_.leases.size())),
          counter("aorta_cache_kv_hits_total", double(store_figures_.hits)),
          counter("aorta_cache_kv_misses_total", double(store_figures_.misses)),
          counter("aorta_cache_kv_saves_total", double(store_figures_.saves)),
          counter("aorta_cache_kv_evictions_total", double(store_figures_.evictions)),
          counter("aorta_cache_kv_refused_total", double(store_figures_.refused)),
          counter("aorta_cache_kv_torn_total", double(store_figures_.torn))};
}

}  // namespace aorta::cache
