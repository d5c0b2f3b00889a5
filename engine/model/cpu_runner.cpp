// The Runner over a decoder on the CPU: rows of the batcher to spans of the model, logits to
// tokens.
#include <algorithm>
#include <chrono>

#include "engine/batch/logprobs.hpp"
#include "engine/batch/sample_place.hpp"
#include "engine/batch/sampler.hpp"
#include "engine/cpu/cpu_backend.hpp"
#include "engine/engine.hpp"
#include "engine/model/decoder.hpp"
#include "engine/model/numerics.hpp"

namespace aorta::engine {
namespace {

class CpuRunner final : public Runner {
 public:
  CpuRunner(std::unique_ptr<Decoder> model, const cpu::CpuBackend& backend,
            std::shared_ptr<cpu::ThreadPool> pool, EngineInfo info, std::uint32_t step_tokens)
      : model_(std::move(model)),
        backend_(backend),
        pool_(std::move(pool)),
        info_(std::move(info)) {
    ids_.reserve(step_tokens);
    spans_.reserve(step_tokens);
    wanted_.reserve(step_tokens);
    sampled_.reserve(step_tokens);
    scratch_.reserve(pool_->size());
    for (std::uint32_t i = 0; i < pool_->size(); ++i) scratch_.emplace_back(info_.vocabulary);
  }

  const EngineInfo& info() const override { return info_; }

  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    const auto begin = std::chrono::steady_clock::now();
    const cpu::PinnedThread pinned = pool_->pin_caller();
    compute(rows, chosen);
    const auto took = std::chrono::steady_clock::now() - begin;
    last_run_us_ = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }
  std::uint32_t last_run_us() const override { return last_run_us_; }

  std::span<std::byte> kv_block(std::uint32_t block) override {
    return backend_.block_memory(block);
  }

 private:
  void compute(std::span<const RunnerRow> rows, std::span<Choice> chosen) {
    gather(rows);
    AORTA_CHECK(chosen.size() == sampled_.size(), "a place for each token to be chosen");
    if (ids_.empty()) return;
    const std::span<const float> logits = model_->forward(ids_, spans_, wanted_);
    const cpu::FloatEnvironment environment;
    if (sampled_.size() < 2) return choose(rows, logits, 0, 1, chosen);
    // Choosing over a whole vocabulary takes a quarter of a millisecond: share it.
    pool_->run([&](std::uint32_t thread) { choose(rows, logits, thread, pool_->size(), chosen); });
  }

  // Chooses every `stride`-th of the step's tokens, the first of them `from`, in the scratch of
  // that number.
  void choose(std::span<const RunnerRow> rows, std::span<const float> logits, std::size_t from,
              std::size_t stride, std::span<Choice> chosen) {
    for (std::size_t i = from; i < sampled_.size(); i += stride) {
      const RunnerRow& row = rows[sampled_[i].row];
      const SamplePlace place = place_of(row, sampled_[i].sample);
      const auto row_logits = logits.subspan(i * info_.vocabulary, info_.vocabulary);
      Choice& choice = chosen[i];
      choice.id = choose_token(row_logits, *row.sampling, place.ids, row.prompt_tokens,
                               place.generated_index, place.banned, scratch_[from]);
      if (!row.top_logprobs) continue;
      choice.logprobs = logprobs_of(row_logits, choice.id, *row.top_logprobs, scratch_[from]);
    }
  }

  void gather(std::span<const RunnerRow> rows) {
    ids_.clear();
    spans_.clear();
    wanted_.clear();
    sampled_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const RunnerRow& row = rows[i];
      AORTA_CHECK(row.count > 0 && row.samples <= row.count &&
                      row.first + row.count <= row.ids.size() &&
                      row.first + row.count <= info_.context_tokens,
                  "a batch row outside its sequence or the context");
      spans_.push_back({static_cast<std::uint32_t>(ids_.size()), row.count, row.first, row.blocks});
      const auto first = row.ids.begin() + row.first;
      ids_.insert(ids_.end(), first, first + row.count);
      for (std::uint32_t sample = 0; sample < row.samples; ++sample) {
        sampled_.push_back({i, sample});
        wanted_.push_back(static_cast<std::uint32_t>(ids_.size() - row.samples + sample));
      }
    }
  }

  struct Sampled {
    std::size_t row;  // of the batch
    std::uint32_t sample;
  };

  const std::unique_ptr<Decoder> model_;
  const cpu::CpuBackend& backend_;  // the model's
  const std::shared_ptr<cpu::ThreadPool> pool_;
  const EngineInfo info_;
  std::vector<TokenId> ids_;  // of the step, as is what follows: made for the largest
  std::vector<RowSpan> spans_;
  std::vector<std::uint32_t> wanted_;    // positions of the step whose logits are needed
  std::vector<Sampled> sampled_;         // what is chosen from them
  std::vector<SamplerScratch> scratch_;  // a thread's each
  std::uint32_t last_run_us_ = 0;
};

}  // namespace

Result<std::unique_ptr<Runner>> make_cpu_runner(const ModelOptions& options) {
  auto pack = open_pack(options.pack_path);
  if (!pack) return pack.error();
  if (auto same = check_source(**pack, options.gguf_path); !same) return same.error();
  // The numerics check needs its rows and blocks, whatever the batcher wants.
  auto pool = std::make_shared<cpu::ThreadPool>(std::max(options.threads, 1u));
  auto backend = cpu::make_backend(options.isa, pool, std::max(options.step_tokens, numerics_rows));
  if (!backend) return backend.error();
  const auto& cpu_backend = static_cast<const cpu::CpuBackend&>(**backend);
  auto model = Decoder::open(*pack, std::move(*backend), std::max(options.blocks, numerics_blocks));
  if (!model) return model.error();
  EngineInfo info;
  info.model_id = options.model_id;
  info.numerics_id = measure_numerics_id(**model, (*pack)->digest());
  info.context_tokens = (*model)->config().context_tokens;
  info.vocabulary = (*model)->config().vocabulary;
  return std::unique_ptr<Runner>(std::make_unique<CpuRunner>(
      std::move(*model), cpu_backend, std::move(pool), std::move(info), options.step_tokens));
}

}  // namespace aorta::engine
