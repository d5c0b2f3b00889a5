#pragma once
// The continuous batcher, a pure core: sequences in, rows of a step out, chosen tokens in again.
//
// Sequences stand in start order, and those that hold KV blocks are always the oldest ones: a
// younger one is admitted only after every older one, and the youngest admitted is the first to
// give its blocks up. So the oldest is never sent back and every sequence becomes the oldest.
#include <cstdint>
#include <span>
#include <vector>

#include "engine/batch/prefill_share.hpp"
#include "engine/engine.hpp"
#include "engine/kv/block_pool.hpp"

namespace aorta::engine {

// The context that a pool of `blocks` leaves of the model's: an answer ends there.
std::uint32_t context_within(std::uint32_t context_tokens, std::uint32_t blocks);

class Batcher {
 public:
  // `info.context_tokens` as context_within says. No more slots than step_tokens are used: each
  // running answer has its place in every step.
  Batcher(const EngineInfo& info, const BatchLimits& limits);

  Result<void> start(Sequence sequence);  // errors: see Stepper
  bool stop(const SequenceKey& key);
  bool idle() const { return sequences_.empty(); }
  EngineLoad load() const;

  // Decides the next step: rows for a Runner, at most limits.step_tokens positions, at least one
  // unless idle. They stay valid until apply(), which must come next, with what was chosen.
  std::span<const RunnerRow> plan();
  StepReport apply(std::span<Choice> chosen);

 private:
  struct Active {
    Sequence sequence;  // ids grow with the answer
    std::vector<std::uint32_t> blocks;
    std::uint32_t computed = 0;  // positions whose KV is in `blocks`
    bool decoding = false;       // its prefill is done: one position a step
    std::uint32_t take = 0;      // positions of the planned step

    std::uint32_t length() const { return static_cast<std::uint32_t>(sequence.ids.size()); }
    std::uint32_t remaining() const { return length() - computed; }
    std::uint32_t generated() const { return length() - sequence.prompt_tokens; }
  };

  Result<void> check(const Sequence& sequence) const;
  void admit();
  void divide_budget();
  void take_blocks();
  bool hold_blocks(std::size_t at);
  void send_back_youngest();
  void release_blocks(Active& active);
  RunnerRow row_of(const Active& active) const;
  Finish append(Active& active, TokenId id) const;

  EngineInfo info_;
  BatchLimits limits_;
  BlockPool pool_;
  std::vector<Active> sequences_;  // in start order
  std::size_t admitted_ = 0;       // how many of them, from the front, may hold blocks

  // Of the planned step; members only so that their memory is reused.
  std::vector<PrefillShare> shares_;
  std::vector<std::size_t> planned_;  // the sequence of each row
  std::vector<RunnerRow> rows_;
  std::uint32_t preempted_ = 0;
};

}  // namespace aorta::engine
