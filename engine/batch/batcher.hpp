#pragma once
// The continuous batcher, a pure core: sequences in, rows of a step out, chosen tokens in again.
//
// Sequences stand in start order, and those that hold KV blocks are always the oldest ones: a
// younger one is admitted only after every older one, and the youngest admitted is the first to
// give its blocks up. So the oldest is never sent back and every sequence becomes the oldest.
#include <cstdint>
#include <span>
#include <vector>

#include "engine/batch/draft.hpp"
#include "engine/batch/prefill_share.hpp"
#include "engine/batch/step_time.hpp"
#include "engine/engine.hpp"
#include "engine/kv/kv_cache.hpp"

namespace aorta::engine {

// The context that a pool of `blocks` leaves of the model's: an answer ends there.
std::uint32_t context_within(std::uint32_t context_tokens, std::uint32_t blocks);

class Batcher {
 public:
  // `info.context_tokens` as context_within says. No more slots than step_tokens are used: each
  // running answer has its place in every step. `kv` needs no more than the store and the memory.
  Batcher(const EngineInfo& info, const BatchLimits& limits, KvOptions kv = {});

  Result<void> start(Sequence sequence);  // errors: see Stepper
  bool stop(const SequenceKey& key);
  bool idle() const { return sequences_.empty(); }
  EngineLoad load() const;

  // Decides the next step: rows for a Runner, at most limits.step_tokens positions; none only when
  // idle, or when KV was fetched instead. They stay valid until apply(), which must come next, with
  // what was chosen: the rows' samples, one row's after the other's.
  std::span<const RunnerRow> plan();
  void apply(std::span<Choice> chosen, StepReport& report);

  // What running the planned rows took, where that is known: it shapes the steps to come, never
  // their tokens. Between plan() and apply().
  void ran_for(std::uint32_t us);

 private:
  struct Active {
    Sequence sequence;  // ids grow with the answer, and end in `drafts` guesses while planned
    SequenceKv kv;
    DraftRecord record;
    std::uint32_t computed = 0;  // positions whose KV is in its blocks
    bool decoding = false;       // its prefill is done: one position a step, and guesses
    bool begun = false;          // some of it was computed since it was admitted
    bool fetching = false;       // more of its KV may be in the store: it waits a step for that
    bool brief = false;          // what it computes until its first token is a step's at most
    std::uint32_t take = 0;      // positions of the planned step, guesses not counted
    std::uint32_t drafts = 0;    // guesses of the planned step
    TokenId guess = -1;          // the first of them, or what it would have been; -1: none

    std::uint32_t length() const {
      return static_cast<std::uint32_t>(sequence.ids.size()) - drafts;
    }
    std::uint32_t remaining() const { return length() - computed; }
    std::uint32_t generated() const { return length() - sequence.prompt_tokens; }
    // Blocks that may be found instead of computed: the last position's logits are needed.
    std::uint32_t most_cached() const { return (length() - 1) / block_tokens; }
  };

  void admit();
  void begin_time();
  void find_kv();
  bool follows(const Active& active, const Active& leader) const;
  void divide_budget();
  void take_blocks();
  void send_back_youngest();
  void guess();
  std::uint32_t guessable(const Active& active) const;
  RunnerRow row_of(const Active& active) const;
  void apply(Active& active, std::span<Choice> chosen, StepReport& report);
  Finish append(Active& active, TokenId id) const;

  EngineInfo info_;
  BatchLimits limits_;
  KvCache kv_;
  StepTime time_;
  std::vector<Active> sequences_;  // in start order
  std::size_t admitted_ = 0;       // how many of them, from the front, may hold blocks
  bool oldest_first_ = true;       // the oldest prompt had nothing of the last step

  // Of the planned step; members only so that their memory is reused.
  std::vector<PrefillShare> shares_;
  std::vector<std::size_t> sharing_;  // the sequence of each share
  std::vector<std::size_t> planned_;  // the sequence of each row
  std::vector<RunnerRow> rows_;
  std::vector<Begun> begun_;
  std::vector<TokenId> guesses_;  // of the sequence that is applied
  std::uint32_t preempted_ = 0;
  StepWork work_;       // all of it
  bool mixed_ = false;  // some prompt is computed
};

}  // namespace aorta::engine
