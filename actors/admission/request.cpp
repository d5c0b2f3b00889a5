#include "actors/admission/request.hpp"

#include <algorithm>
#include <array>

#include "engine/engine.hpp"

namespace aorta::admission {

std::string_view name_of(Phase phase) {
  static constexpr std::array<std::string_view, phase_count> names{"held", "queued", "placed",
                                                                   "parked", "ended"};
  return names[static_cast<std::size_t>(phase)];
}

std::string_view name_of(mesh::Tier tier) {
  static constexpr std::array<std::string_view, mesh::tier_count> names{"urgent", "high", "normal"};
  const auto index = static_cast<std::size_t>(tier);
  return index < names.size() ? names[index] : "unknown";
}

void Request::begin_epoch_record() {
  if (epochs.size() == epoch_records) epochs.erase(epochs.begin());
  epochs.push_back({.epoch = epoch, .first = ledger.next()});
}

Usage Request::usage() const {
  Usage usage = ledger.usage();
  usage.cached_tokens = cached_tokens.value_or(0);
  if (dormant()) usage.completion_tokens = ended_before->tokens.value;
  return usage;
}

std::uint64_t Request::cache_salt() const { return stable_hash(tenant, stable_hash(model)); }

std::vector<std::uint64_t> Request::prefix(std::uint32_t most) const {
  const std::size_t tokens = std::size_t{most} * engine::block_tokens;
  const std::vector<TokenId>& prompt = ledger.prompt();
  const std::vector<TokenId>& generated = ledger.generated();
  std::vector<TokenId> ids(prompt.begin(), prompt.begin() + std::min(tokens, prompt.size()));
  const std::size_t more = std::min(tokens - ids.size(), generated.size());
  ids.insert(ids.end(), generated.begin(), generated.begin() + more);
  std::vector<std::uint64_t> names;
  for (const engine::BlockName& name : engine::name_blocks(cache_salt(), ids)) {
    names.push_back(name.low);
  }
  return names;
}

mesh::OpenRequest Request::open(TimePoint now) const {
  mesh::OpenRequest open;
  open.key = key();
  open.tier = tier;
  open.tenant = tenant;
  open.model = model;
  open.prompt_tokens = static_cast<std::uint32_t>(ledger.prompt().size());
  open.generated_tokens = ledger.next().value;
  open.max_tokens = ledger.max_tokens();
  open.waited_ms = static_cast<std::uint32_t>(to_ms(now - arrived));
  open.waited_us = static_cast<std::uint64_t>((now - arrived).count());
  // 0 means no deadline, so one that is about to pass still says 1.
  open.remaining_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(1, to_ms(deadline - now)));
  open.numerics_id = numerics_id;
  open.determinism = determinism;
  open.crashes = crashes;
  if (const Placed* placed = this->placed()) open.executor = placed->executor;
  return open;
}

mesh::Start Request::start(std::uint32_t lease_ms) const {
  mesh::Start start;
  start.key = key();
  start.prompt = ledger.prompt();
  start.generated = ledger.generated();
  start.max_tokens = ledger.max_tokens();
  start.min_tokens = min_tokens;
  start.stop_ids = stop_ids;
  start.sampling = sampling;
  start.lease_ms = lease_ms;
  start.logprobs = top_logprobs.has_value();
  start.top_logprobs = top_logprobs.value_or(0);
  start.cache_salt = cache_salt();
  return start;
}

std::unique_ptr<Request> another_choice(const Request& first, std::uint32_t choice) {
  auto request = std::make_unique<Request>(first);
  request->id = choice_id(first.id, choice);
  request->sampling.choice = choice;
  request->idempotency_key.clear();
  request->journaled = false;
  return request;
}

}  // namespace aorta::admission
