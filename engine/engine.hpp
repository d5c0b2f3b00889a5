#pragma once
// The engine's public face: sequences go in, generated tokens come out, one step at a time.
// It knows no mesh, no CAF and no clock. `Stepper` is synchronous, so the simulator steps it in
// virtual time; `EngineThread` (engine/engine_thread.hpp) runs the same Stepper on its own thread.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace aorta::engine {

// How a token is chosen from logits. Fields and defaults follow OpenAI's and vLLM's parameters.
// temperature 0 is greedy: the largest logit, the smaller id on a tie.
struct Sampling {
  float temperature = 1.0f;
  float top_p = 1.0f;
  float min_p = 0.0f;
  std::uint32_t top_k = 0;  // 0: all
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;    // Philox key; always set before it gets here
  std::uint32_t choice = 0;  // which of a request's `n` answers
  bool operator==(const Sampling&) const = default;
};

// Log-probabilities at one generated token, of the model's own distribution: the log softmax of its
// logits before bias, penalties and temperature (vLLM's raw_logprobs).
struct TokenLogprobs {
  float chosen = 0;
  std::vector<std::pair<TokenId, float>> top;  // the likeliest first, the smaller id on a tie
  bool operator==(const TokenLogprobs&) const = default;
};

inline constexpr std::uint32_t max_top_logprobs = 20;

// One life of a request on this engine.
struct SequenceKey {
  RequestId request;
  Epoch epoch;
  auto operator<=>(const SequenceKey&) const = default;
};

struct Sequence {
  SequenceKey key;
  std::vector<TokenId> ids;         // prompt, then what earlier epochs generated
  std::uint32_t prompt_tokens = 0;  // how many of `ids` are the prompt; the rest are generated
  std::uint32_t max_tokens = 0;     // total generated, earlier epochs included; at least 1
  std::uint32_t min_tokens = 0;     // stop ids are not chosen before this many
  std::vector<TokenId> stop_ids;    // end of answer; empty when the request ignores it
  Sampling sampling;
  std::optional<std::uint32_t> top_logprobs;  // how many of the likeliest; absent: no logprobs
  std::uint64_t cache_salt = 0;  // sequences of one salt share the KV of a common prefix
};

enum class Finish : std::uint8_t { none = 0, stop = 1, length = 2 };

// Token `index` of the answer. With Finish::stop, `id` is the stop id and is not part of the text.
struct Generated {
  SequenceKey key;
  TokenIndex index;
  TokenId id = 0;
  Finish finish = Finish::none;
  std::optional<TokenLogprobs> logprobs;  // where the sequence asked for them
};

// A sequence whose prefill begins, or begins again after it was sent back.
struct Begun {
  SequenceKey key;
  std::uint32_t cached_tokens = 0;  // positions whose KV was found instead of computed
};

// What one step did. A sequence that finished is forgotten by the engine.
struct StepReport {
  std::vector<Generated> tokens;  // of one sequence in ascending order, several where drafts held
  std::vector<Begun> begun;
  std::uint32_t prefill_tokens = 0;  // prompt positions computed
  std::uint32_t decode_tokens = 0;   // positions computed whose token was then sampled alone
  std::uint32_t preempted = 0;       // sequences sent back to waiting for want of blocks
  std::uint32_t drafted = 0;         // positions computed for tokens that were guessed
  std::uint32_t drafts_kept = 0;     // of them, those that were chosen

  void clear() {  // keeps its memory
    tokens.clear();
    begun.clear();
    prefill_tokens = decode_tokens = preempted = drafted = drafts_kept = 0;
  }
};

// Figures a scheduler places by; all as of the last finished step.
struct EngineLoad {
  std::uint32_t slots_total = 0;  // sequences that may be started, running or waiting for blocks
  std::uint32_t slots_used = 0;
  std::uint32_t blocks_total = 0;   // KV blocks of `block_tokens`
  std::uint32_t blocks_used = 0;    // held by sequences
  std::uint32_t blocks_cached = 0;  // held by nobody, kept for a prefix that may come again
  std::uint32_t waiting = 0;        // started, but their prefill has not begun
};

struct EngineInfo {
  std::string model_id;
  std::string numerics_id;  // equal ids promise identical tokens (hex)
  std::uint32_t context_tokens = 0;
  std::uint32_t vocabulary = 0;
};

inline constexpr std::uint32_t block_tokens = 16;  // positions of KV in a block

class Stepper {
 public:
  virtual ~Stepper() = default;
  virtual const EngineInfo& info() const = 0;
  virtual EngineLoad load() const = 0;
  // Errors: resource_exhausted (no slot), invalid_argument (empty, beyond the context, a token id
  // outside the vocabulary, too many top_logprobs), conflict (the key is running).
  virtual Result<void> start(Sequence sequence) = 0;
  // Forgets a sequence and frees its blocks at once; false when it was not here.
  virtual bool stop(const SequenceKey& key) = 0;
  virtual bool idle() const = 0;  // nothing to step
  // Replaces what is in `report`, whose memory is used again.
  virtual void step(StepReport& report) = 0;
  StepReport step() {
    StepReport report;
    step(report);
    return report;
  }
};

// Limits of the batcher, from configuration.
struct BatchLimits {
  std::uint32_t slots = 16;         // sequences at once; no more than step_tokens are used
  std::uint32_t step_tokens = 256;  // decode rows and prefill positions of one step together
  std::uint32_t blocks = 2048;      // KV blocks in the pool
  bool prefix_cache = true;         // keep the KV of full blocks for prompts that begin alike
  std::uint32_t draft_tokens = 4;   // guessed tokens of a sequence and step at most; 0: none
};

// Where a step's arithmetic happens: the real model, or the fake one.
struct RunnerRow {                        // consecutive positions of one sequence in this step
  std::span<const TokenId> ids;           // all ids known of the sequence (prompt and generated)
  std::uint32_t first = 0;                // position of the first id to compute
  std::uint32_t count = 0;                // how many positions
  std::span<const std::uint32_t> blocks;  // block table: position p lives in blocks[p / 16]
  std::uint32_t samples = 0;              // choose the token after each of so many last positions
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated_index = 0;  // index of the first token to be chosen
  const Sampling* sampling = nullptr;
  std::span<const TokenId> stop_ids;  // may not be chosen for an index below min_tokens
  std::uint32_t min_tokens = 0;
  std::optional<std::uint32_t> top_logprobs;  // as the sequence's
};
struct Choice {
  TokenId id = 0;
  std::optional<TokenLogprobs> logprobs;
};

class Runner {
 public:
  virtual ~Runner() = default;
  virtual const EngineInfo& info() const = 0;
  // Computes the rows in one pass; `chosen` has the rows' samples, one row's after the other's. A
  // row of several samples ends in drafts: each token is chosen as if the ids before it were final.
  virtual void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) = 0;
  // How long the last run took, if this runner's time tells what a step of as many positions costs
  // (and not, say, in virtual time); 0: it does not.
  virtual std::uint32_t last_run_us() const { return 0; }
  // The memory behind a KV block, all layers, of one size for all; empty: it has none.
  virtual std::span<std::byte> kv_block(std::uint32_t block) = 0;
};

// Names the KV of a full block: a 128-bit hash of its 16 ids and the name of the block before, the
// first of a chain of a salt. Within one numerics_id equal names are equal bits.
struct BlockName {
  std::uint64_t low = 0, high = 0;
  auto operator<=>(const BlockName&) const = default;
};

// The names of the full blocks of `ids`, in order (engine/kv/block_name.cpp).
std::vector<BlockName> name_blocks(std::uint64_t salt, std::span<const TokenId> ids);

// KV blocks that outlive an engine, on its host (engine/kv/block_store.hpp). Called on the engine's
// thread; neither waits for anyone.
class BlockStore {
 public:
  virtual ~BlockStore() = default;
  virtual bool may_have(const BlockName&) const { return true; }  // cheap; false: load finds none
  virtual bool load(const BlockName& name, std::span<std::byte> into) = 0;  // false: not there
  // How long the last load took that found its block; 0: this store's time does not tell.
  virtual std::uint32_t last_load_us() const { return 0; }
  virtual void save(const BlockName& name, std::span<const std::byte> block) = 0;
  virtual std::uint32_t last_save_us() const { return 0; }  // as last_load_us
};

// The continuous batcher over a runner (engine/batch). Its context is the runner's, or what the
// pool's blocks hold where that is less. `store`: null for none.
std::unique_ptr<Stepper> make_stepper(std::unique_ptr<Runner> runner, const BatchLimits& limits,
                                      std::shared_ptr<BlockStore> store = nullptr);

// The fake model: token = hash(seed, choice, all ids) (engine/fake), printable ASCII 15 times of 16
// where the vocabulary has it. `poison` names a prompt id that aborts the process, as a broken
// kernel would; -1: none. `thinking_tokens`: its chats open <think>, and after so many tokens it
// says </think>, a byte a token; 0: it does not think.
// Of a request's sampling it heeds the seed, the choice and positive biases: an id with a bias of b
// comes about b times in a hundred.
struct FakeOptions {
  std::string model_id = "fake";
  std::uint32_t vocabulary = 256;
  std::uint32_t context_tokens = 8192;
  std::uint32_t step_us = 0;  // a real-time floor of each step, on the engine's thread
  TokenId stop_id = 0;
  std::uint32_t stop_one_in = 0;  // about one token in so many is the stop id; 0: never
  TokenId poison = -1;
  std::uint32_t thinking_tokens = 0;
};
std::unique_ptr<Runner> make_fake_runner(const FakeOptions& options);

// The CPU model from a GGUF file through its packed file (engine/model).
struct ModelOptions {
  std::string gguf_path;
  std::string pack_path;  // an existing pack of that file (see engine/model/pack.hpp)
  std::string model_id;
  std::uint32_t threads = 1;
  std::uint32_t blocks = 2048;      // KV blocks to reserve address space for
  std::uint32_t step_tokens = 256;  // the most rows of one run()
  std::string isa = "auto";         // auto | scalar | avx2 | avxvnni | avx512
};
Result<std::unique_ptr<Runner>> make_cpu_runner(const ModelOptions& options);

}  // namespace aorta::engine
