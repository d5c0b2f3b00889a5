#include "engine/batch/batcher.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "engine/batch/sequence_check.hpp"

namespace aorta::engine {
namespace {

std::uint32_t blocks_for(std::uint32_t positions) {
  return (positions + block_tokens - 1) / block_tokens;
}

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

KvOptions with(const BatchLimits& limits, KvOptions kv) {
  kv.blocks = limits.blocks;
  kv.prefix_cache = limits.prefix_cache;
  return kv;
}

}  // namespace

std::uint32_t context_within(std::uint32_t context_tokens, std::uint32_t blocks) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(context_tokens, std::uint64_t{blocks} * block_tokens));
}

Batcher::Batcher(const EngineInfo& info, const BatchLimits& limits, KvOptions kv)
    : info_(info),
      limits_(limits),
      kv_(with(limits, std::move(kv))),
      time_(std::max(limits.step_tokens, 1u), info.context_tokens) {
  AORTA_CHECK(info.context_tokens == context_within(info.context_tokens, limits.blocks),
              "the context is larger than the pool of KV blocks");
  AORTA_CHECK(limits.slots > 0 && limits.step_tokens > 0, "a batcher without room for anyone");
  limits_.slots = std::min(limits.slots, limits.step_tokens);
  sequences_.reserve(limits_.slots);
  shares_.reserve(limits_.slots);
  sharing_.reserve(limits_.slots);
  planned_.reserve(limits_.slots);
  rows_.reserve(limits_.slots);
  begun_.reserve(limits_.slots);
  guesses_.reserve(limits_.draft_tokens);
}

Result<void> Batcher::start(Sequence sequence) {
  if (auto checked = check_sequence(sequence, info_); !checked) return checked;
  for (const Active& active : sequences_) {
    if (active.sequence.key == sequence.key) {
      return Error{ErrorCode::conflict,
                   fmt::format("request {} is already running here in epoch {}",
                               sequence.key.request.to_string(), sequence.key.epoch.value)};
    }
  }
  if (sequences_.size() >= limits_.slots) {
    return Error{ErrorCode::resource_exhausted,
                 fmt::format("all {} slots are taken: start it elsewhere or later", limits_.slots)};
  }
  Active& active = sequences_.emplace_back();
  active.sequence = std::move(sequence);
  // What it can grow to, now: a step takes no memory.
  std::vector<TokenId>& ids = active.sequence.ids;
  const std::uint32_t longest = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      info_.context_tokens,
      std::uint64_t{active.sequence.prompt_tokens} + active.sequence.max_tokens));
  ids.reserve(longest + limits_.draft_tokens);
  active.kv.blocks.reserve(blocks_for(longest + limits_.draft_tokens));
  active.kv.names.reserve(blocks_for(longest));
  kv_.name(active.kv, active.sequence.cache_salt, ids);
  return {};
}

bool Batcher::stop(const SequenceKey& key) {
  const auto at = std::find_if(sequences_.begin(), sequences_.end(),
                               [&](const Active& a) { return a.sequence.key == key; });
  if (at == sequences_.end()) return false;
  if (static_cast<std::size_t>(at - sequences_.begin()) < admitted_) --admitted_;
  kv_.release(at->kv);
  sequences_.erase(at);
  return true;
}

EngineLoad Batcher::load() const {
  EngineLoad load;
  load.slots_total = limits_.slots;
  load.slots_used = static_cast<std::uint32_t>(sequences_.size());
  load.blocks_total = kv_.total();
  load.blocks_used = kv_.used();
  load.blocks_cached = kv_.cached();
  for (const Active& active : sequences_) load.waiting += !active.begun;
  return load;
}

std::span<const RunnerRow> Batcher::plan() {
  preempted_ = 0;
  rows_.clear();
  planned_.clear();
  begun_.clear();
  admit();
  begin_time();
  find_kv();
  divide_budget();
  take_blocks();
  guess();
  bool fetching = false;
  for (std::size_t i = 0; i < admitted_; ++i) {
    Active& active = sequences_[i];
    fetching = fetching || active.fetching;
    if (active.take == 0) continue;
    if (!active.begun) begun_.push_back({active.sequence.key, active.computed});
    active.begun = true;
    planned_.push_back(i);
    rows_.push_back(row_of(active));
  }
  AORTA_CHECK(idle() || fetching || !rows_.empty(), "a step that gets nobody on");
  return rows_;
}

// Admits the next in line once its whole prefill and one token fit beside what those before it
// still need for theirs. Nobody passes: a large one would wait for ever behind small ones. Blocks
// that are kept for nobody in particular are room; those that others hold already cost nothing.
void Batcher::admit() {
  std::uint32_t promised = 0;  // blocks that those admitted lack for their ids and one token
  const auto lacks = [](const Active& a, std::size_t has) {
    const std::uint32_t needs = blocks_for(a.length() + 1);
    return needs - std::min<std::uint32_t>(needs, static_cast<std::uint32_t>(has));
  };
  for (std::size_t i = 0; i < admitted_; ++i) {
    promised += lacks(sequences_[i], sequences_[i].kv.blocks.size());
  }
  while (admitted_ < sequences_.size()) {
    Active& next = sequences_[admitted_];
    const std::uint32_t held = kv_.held_by_others(next.kv, next.most_cached());
    if (promised + lacks(next, held) > kv_.available()) break;
    kv_.take_shared(next.kv, next.most_cached());
    next.computed = next.kv.shared * block_tokens;
    promised += lacks(next, next.kv.blocks.size());
    ++admitted_;
  }
}

void Batcher::begin_time() {
  StepWork decodes;
  for (std::size_t i = 0; i < admitted_; ++i) {
    if (!sequences_[i].decoding) continue;
    decodes.add(sequences_[i].computed, 1);
  }
  time_.begin(decodes, static_cast<std::uint32_t>(admitted_) - decodes.positions);
}

// Goes on past what is computed with blocks that are there by now, here or in the store.
void Batcher::find_kv() {
  kv_.copy_from(time_.copied_from());
  for (std::size_t i = 0; i < admitted_; ++i) {
    Active& active = sequences_[i];
    active.fetching = false;
    if (active.decoding || active.computed != active.kv.shared * block_tokens) continue;
    const std::uint32_t most = active.most_cached();
    while (!active.fetching) {
      if (kv_.take_shared(active.kv, most)) continue;
      if (!time_.may_load_one_more()) {
        active.fetching = kv_.may_fetch(active.kv, most);
        break;
      }
      if (!kv_.fetch(active.kv, most)) break;
      time_.loaded(kv_.last_load_us());
      kv_.copy_from(time_.copied_from());
    }
    active.computed = active.kv.shared * block_tokens;
  }
}

// The same block is next for both: whoever comes later waits for it instead of computing it too.
bool Batcher::follows(const Active& active, const Active& leader) const {
  const std::uint32_t next = active.kv.shared;
  return active.computed == next * block_tokens && next == leader.kv.shared &&
         next < active.most_cached() && next < leader.kv.names.size() &&
         active.kv.names[next] == leader.kv.names[next];
}

// One position for each that decodes, then prefill. There are no more slots than the budget, so a
// prompt always finds at least one position left. Nobody follows any but the oldest prompt, which
// gets on in every other step at least.
void Batcher::divide_budget() {
  shares_.clear();
  sharing_.clear();
  for (std::size_t i = 0; i < admitted_; ++i) {
    Active& active = sequences_[i];
    active.take = active.decoding ? 1 : 0;
    if (active.decoding || active.fetching) continue;
    if (!active.begun) active.brief = active.remaining() <= limits_.step_tokens;
    if (!shares_.empty() && follows(active, sequences_[sharing_.front()])) continue;
    const std::uint32_t until_copy =
        kv_.positions_before_copy(active.kv, active.computed, active.most_cached());
    shares_.push_back({.first = active.computed,
                       .remaining = until_copy > 0 ? until_copy : active.remaining(),
                       .brief = active.brief});
    sharing_.push_back(i);
  }
  divide_prefill(shares_, time_.prefill_room(oldest_first_));
  for (std::size_t share = 0; share < shares_.size(); ++share) {
    sequences_[sharing_[share]].take = shares_[share].take;
  }
  oldest_first_ = shares_.empty() || shares_.front().take == 0;
}

// Oldest first, so that whoever must give blocks up has none of this step's yet.
void Batcher::take_blocks() {
  for (std::size_t i = 0; i < admitted_; ++i) {
    Active& active = sequences_[i];
    while (i < admitted_ && !kv_.grow(active.kv, blocks_for(active.computed + active.take))) {
      send_back_youngest();
    }
  }
}

// Its ids stay: what of its KV is gone when there is room again is computed again.
void Batcher::send_back_youngest() {
  // One sequence alone fits: start() keeps every sequence below the pool's size.
  AORTA_CHECK(admitted_ > 1, "the oldest sequence cannot get the blocks it was promised");
  Active& youngest = sequences_[--admitted_];
  kv_.release(youngest.kv);
  youngest.computed = 0;
  youngest.decoding = youngest.begun = youngest.fetching = false;
  youngest.take = 0;
  ++preempted_;
}

// With what the step has left. Nobody is sent back for a guess.
void Batcher::guess() {
  std::uint32_t tokens = 0;
  mixed_ = false;
  work_ = {};
  for (std::size_t i = 0; i < admitted_; ++i) {
    const Active& active = sequences_[i];
    if (active.take == 0) continue;
    work_.add(active.computed, active.take);
    tokens += active.decoding;
    mixed_ = mixed_ || !active.decoding;
  }
  if (limits_.draft_tokens == 0) return;
  DraftBudget budget(time_.costs(mixed_), work_, tokens, limits_.step_tokens);
  for (std::size_t i = 0; i < admitted_; ++i) {
    Active& active = sequences_[i];
    if (!active.decoding) continue;
    const std::uint32_t length = active.length();
    std::vector<TokenId>& ids = active.sequence.ids;
    std::uint32_t drafts = guess_next(ids, guessable(active));
    active.guess = drafts > 0 ? ids[length] : -1;
    drafts = budget.take(active.record.rate(), drafts, length);
    if (!kv_.grow(active.kv, blocks_for(length + drafts))) {
      drafts = static_cast<std::uint32_t>(active.kv.blocks.size()) * block_tokens - length;
    }
    ids.resize(length + drafts);
    active.drafts = drafts;
    work_.positions += drafts;
    work_.attention += static_cast<double>(drafts) * length;
  }
}

// Each may bring a token, and one comes in any case: none beyond the answer's end or the context.
std::uint32_t Batcher::guessable(const Active& active) const {
  const std::uint32_t to_come = std::min(active.sequence.max_tokens - active.generated(),
                                         info_.context_tokens - active.length());
  return std::min(limits_.draft_tokens, to_come - 1);
}

RunnerRow Batcher::row_of(const Active& active) const {
  const Sequence& sequence = active.sequence;
  RunnerRow row;
  row.ids = sequence.ids;
  row.first = active.computed;
  row.count = active.take + active.drafts;
  row.blocks = active.kv.blocks;
  row.samples = active.take == active.remaining() ? 1 + active.drafts : 0;
  row.prompt_tokens = sequence.prompt_tokens;
  row.generated_index = active.generated();
  row.sampling = &sequence.sampling;
  row.stop_ids = sequence.stop_ids;
  row.min_tokens = sequence.min_tokens;
  row.top_logprobs = sequence.top_logprobs;
  return row;
}

void Batcher::ran_for(std::uint32_t us) { time_.measured(mixed_, work_, us); }

void Batcher::apply(std::span<Choice> chosen, StepReport& report) {
  report.clear();
  report.tokens.reserve(std::min(limits_.step_tokens, limits_.slots * (1 + limits_.draft_tokens)));
  report.begun.assign(begun_.begin(), begun_.end());
  report.preempted = preempted_;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const std::uint32_t samples = rows_[row].samples;
    AORTA_CHECK(samples <= chosen.size(), "the chosen tokens are not of the planned step");
    apply(sequences_[planned_[row]], chosen.first(samples), report);
    chosen = chosen.subspan(samples);
  }
  AORTA_CHECK(chosen.empty(), "the chosen tokens are not of the planned step");
  rows_.clear();  // they point into sequences, which now change
  for (const Generated& token : report.tokens) {
    if (token.finish != Finish::none) stop(token.key);
  }
  // What a step fills and one more: the store keeps up, and costs no step much.
  if (kv_.save_some(1 + work_.positions / block_tokens) > 0) {
    time_.saved(kv_.last_save_us());
  }
}

// Guesses are final as far as they were chosen; the token after them was chosen after them.
void Batcher::apply(Active& active, std::span<Choice> chosen, StepReport& report) {
  std::vector<TokenId>& ids = active.sequence.ids;
  guesses_.assign(ids.end() - active.drafts, ids.end());
  (active.decoding ? report.decode_tokens : report.prefill_tokens) += active.take;
  active.computed += active.take;
  std::uint32_t kept = 0;
  ids.resize(active.length());
  active.drafts = 0;
  for (std::size_t at = 0; at < chosen.size(); ++at) {
    const TokenIndex index{active.generated()};
    const TokenId guessed = at < guesses_.size() ? guesses_[at] : TokenId{-1};
    const TokenId id = chosen[at].id;
    const Finish finish = append(active, id);
    report.tokens.push_back(
        {active.sequence.key, index, id, finish, std::move(chosen[at].logprobs)});
    if (finish != Finish::none || id != guessed) break;
    ++active.computed;
    ++kept;
  }
  if (active.decoding) {
    const auto drafted = static_cast<std::uint32_t>(guesses_.size());
    report.drafted += drafted;
    report.drafts_kept += kept;
    if (drafted > 0) {
      active.record.add(std::min(drafted, kept + 1), kept);
    } else if (active.guess >= 0) {  // not computed, but whether it held is known all the same
      active.record.add(1, chosen.front().id == active.guess);
    }
  }
  if (!chosen.empty()) active.decoding = true;
  kv_.name(active.kv, active.sequence.cache_salt, ids);
  kv_.computed(active.kv, active.computed);
  if (active.decoding) kv_.shrink(active.kv, blocks_for(active.computed + 1));
}

Finish Batcher::append(Active& active, TokenId id) const {
  Sequence& sequence = active.sequence;
  if (contains(sequence.stop_ids, id)) return Finish::stop;
  sequence.ids.push_back(id);
  const bool full = active.length() >= info_.context_tokens;
  return full || active.generated() >= sequence.max_tokens ? Finish::length : Finish::none;
}

}  // namespace aorta::engine
