#include "engine/batch/batcher.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace aorta::engine {
namespace {

std::uint32_t blocks_for(std::uint32_t positions) {
  return (positions + block_tokens - 1) / block_tokens;
}

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Error invalid(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }

}  // namespace

std::uint32_t context_within(std::uint32_t context_tokens, std::uint32_t blocks) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(context_tokens, std::uint64_t{blocks} * block_tokens));
}

Batcher::Batcher(const EngineInfo& info, const BatchLimits& limits)
    : info_(info), limits_(limits), pool_(limits.blocks) {
  AORTA_CHECK(info.context_tokens == context_within(info.context_tokens, limits.blocks),
              "the context is larger than the pool of KV blocks");
  AORTA_CHECK(limits.slots > 0 && limits.step_tokens > 0, "a batcher without room for anyone");
  limits_.slots = std::min(limits.slots, limits.step_tokens);
}

Result<void> Batcher::check(const Sequence& sequence) const {
  const std::size_t length = sequence.ids.size();
  if (sequence.prompt_tokens == 0) return invalid("the prompt is empty: give at least one token");
  if (sequence.prompt_tokens > length) {
    return invalid(
        fmt::format("prompt_tokens is {}, but only {} ids came", sequence.prompt_tokens, length));
  }
  if (sequence.max_tokens <= length - sequence.prompt_tokens) {
    return invalid(
        fmt::format("max_tokens is {} and {} tokens are generated: nothing is left to do",
                    sequence.max_tokens, length - sequence.prompt_tokens));
  }
  if (length >= info_.context_tokens) {
    return invalid(
        fmt::format("{} tokens leave no room for an answer in a context of {}: shorten "
                    "the prompt",
                    length, info_.context_tokens));
  }
  if (sequence.top_logprobs.value_or(0) > max_top_logprobs) {
    return invalid(fmt::format("top_logprobs is {}: at most {} can be given",
                               *sequence.top_logprobs, max_top_logprobs));
  }
  for (const TokenId id : sequence.ids) {
    if (id < 0 || static_cast<std::uint32_t>(id) >= info_.vocabulary) {
      return invalid(
          fmt::format("token id {} is outside the vocabulary of {}", id, info_.vocabulary));
    }
  }
  return {};
}

Result<void> Batcher::start(Sequence sequence) {
  if (auto checked = check(sequence); !checked) return checked;
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
  sequences_.push_back({.sequence = std::move(sequence)});
  return {};
}

bool Batcher::stop(const SequenceKey& key) {
  const auto at = std::find_if(sequences_.begin(), sequences_.end(),
                               [&](const Active& a) { return a.sequence.key == key; });
  if (at == sequences_.end()) return false;
  if (static_cast<std::size_t>(at - sequences_.begin()) < admitted_) --admitted_;
  release_blocks(*at);
  sequences_.erase(at);
  return true;
}

EngineLoad Batcher::load() const {
  EngineLoad load;
  load.slots_total = limits_.slots;
  load.slots_used = static_cast<std::uint32_t>(sequences_.size());
  load.blocks_total = pool_.total();
  load.blocks_used = pool_.used();
  for (const Active& active : sequences_) load.waiting += active.computed == 0;
  return load;
}

std::span<const RunnerRow> Batcher::plan() {
  preempted_ = 0;
  rows_.clear();
  planned_.clear();
  admit();
  divide_budget();
  take_blocks();
  for (std::size_t i = 0; i < admitted_; ++i) {
    if (sequences_[i].take == 0) continue;
    planned_.push_back(i);
    rows_.push_back(row_of(sequences_[i]));
  }
  AORTA_CHECK(idle() || !rows_.empty(), "a step that gets nobody on");
  return rows_;
}

// Admits the next in line once its whole prefill and one token fit beside what those before it
// still need for theirs. Nobody passes: a large one would wait for ever behind small ones.
void Batcher::admit() {
  std::uint32_t promised = 0;  // blocks that those admitted lack for their ids and one token
  const auto lacks = [](const Active& a) {
    const std::uint32_t needs = blocks_for(a.length() + 1);
    return needs - std::min<std::uint32_t>(needs, a.blocks.size());
  };
  for (std::size_t i = 0; i < admitted_; ++i) promised += lacks(sequences_[i]);
  while (admitted_ < sequences_.size()) {
    promised += lacks(sequences_[admitted_]);
    if (promised > pool_.free()) break;
    ++admitted_;
  }
}

// One position for each that decodes, then prefill. There are no more slots than the budget, so a
// prompt always finds at least one position left.
void Batcher::divide_budget() {
  std::uint32_t budget = limits_.step_tokens;
  shares_.clear();
  for (std::size_t i = 0; i < admitted_; ++i) {
    if (sequences_[i].decoding) {
      --budget;
    } else {
      shares_.push_back({.remaining = sequences_[i].remaining()});
    }
  }
  divide_prefill(shares_, budget);
  for (std::size_t i = 0, share = 0; i < admitted_; ++i) {
    sequences_[i].take = sequences_[i].decoding ? 1 : shares_[share++].take;
  }
}

// Oldest first, so that whoever must give blocks up has none of this step's yet.
void Batcher::take_blocks() {
  for (std::size_t i = 0; i < admitted_; ++i) {
    while (i < admitted_ && !hold_blocks(i)) send_back_youngest();
  }
}

// False: no block is free.
bool Batcher::hold_blocks(std::size_t at) {
  Active& active = sequences_[at];
  const std::uint32_t needs = blocks_for(active.computed + active.take);
  while (active.blocks.size() < needs) {
    const auto block = pool_.take();
    if (!block) return false;
    active.blocks.push_back(*block);
  }
  return true;
}

// Its ids stay: they are computed again when blocks are free.
void Batcher::send_back_youngest() {
  // One sequence alone fits: start() keeps every sequence below the pool's size.
  AORTA_CHECK(admitted_ > 1, "the oldest sequence cannot get the blocks it was promised");
  Active& youngest = sequences_[--admitted_];
  release_blocks(youngest);
  youngest.computed = 0;
  youngest.decoding = false;
  youngest.take = 0;
  ++preempted_;
}

void Batcher::release_blocks(Active& active) {
  for (const std::uint32_t block : active.blocks) pool_.release(block);
  active.blocks.clear();
}

RunnerRow Batcher::row_of(const Active& active) const {
  const Sequence& sequence = active.sequence;
  RunnerRow row;
  row.ids = sequence.ids;
  row.first = active.computed;
  row.count = active.take;
  row.blocks = active.blocks;
  row.samples = active.take == active.remaining() ? 1 : 0;
  row.prompt_tokens = sequence.prompt_tokens;
  row.generated_index = active.generated();
  row.sampling = &sequence.sampling;
  row.stop_ids = sequence.stop_ids;
  row.min_tokens = sequence.min_tokens;
  row.top_logprobs = sequence.top_logprobs;
  return row;
}

StepReport Batcher::apply(std::span<Choice> chosen) {
  StepReport report;
  std::size_t taken = 0;  // of what was chosen
  report.preempted = preempted_;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    Active& active = sequences_[planned_[row]];
    (active.decoding ? report.decode_tokens : report.prefill_tokens) += rows_[row].count;
    active.computed += rows_[row].count;
    if (rows_[row].samples == 0) continue;
    AORTA_CHECK(taken < chosen.size(), "the chosen tokens are not of the planned step");
    Choice& choice = chosen[taken++];
    active.decoding = true;
    const TokenIndex index{active.generated()};
    const Finish finish = append(active, choice.id);
    report.tokens.push_back(
        {active.sequence.key, index, choice.id, finish, std::move(choice.logprobs)});
  }
  AORTA_CHECK(taken == chosen.size(), "the chosen tokens are not of the planned step");
  rows_.clear();  // they point into sequences, which now change
  for (const Generated& token : report.tokens) {
    if (token.finish != Finish::none) stop(token.key);
  }
  return report;
}

Finish Batcher::append(Active& active, TokenId id) const {
  Sequence& sequence = active.sequence;
  if (contains(sequence.stop_ids, id)) return Finish::stop;
  sequence.ids.push_back(id);
  const bool full = active.length() >= info_.context_tokens;
  return full || active.generated() >= sequence.max_tokens ? Finish::length : Finish::none;
}

}  // namespace aorta::engine
