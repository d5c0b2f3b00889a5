// The Runner over a llama model on the CPU: rows of the batcher to spans of the model, logits to
// tokens.
#include <algorithm>

#include "engine/batch/sampler.hpp"
#include "engine/engine.hpp"
#include "engine/model/llama.hpp"
#include "engine/model/numerics.hpp"

namespace aorta::engine {
namespace {

class CpuRunner final : public Runner {
 public:
  CpuRunner(std::unique_ptr<Llama> model, EngineInfo info)
      : model_(std::move(model)), info_(std::move(info)) {}

  const EngineInfo& info() const override { return info_; }

  void run(std::span<const RunnerRow> rows, std::span<TokenId> chosen) override {
    gather(rows);
    if (ids_.empty()) return;
    const std::span<const float> logits = model_->forward(ids_, spans_, wanted_);
    std::size_t next = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i].sample) continue;
      chosen[i] =
          choose_token(logits.subspan(next * info_.vocabulary, info_.vocabulary), *rows[i].sampling,
                       rows[i].ids, rows[i].prompt_tokens, rows[i].generated_index, rows[i].banned);
      ++next;
    }
  }

 private:
  void gather(std::span<const RunnerRow> rows) {
    ids_.clear();
    spans_.clear();
    wanted_.clear();
    for (const RunnerRow& row : rows) {
      AORTA_CHECK(row.count > 0 && row.first + row.count <= row.ids.size() &&
                      row.first + row.count <= info_.context_tokens,
                  "a batch row outside its sequence or the context");
      spans_.push_back({static_cast<std::uint32_t>(ids_.size()), row.count, row.first, row.blocks});
      const auto first = row.ids.begin() + row.first;
      ids_.insert(ids_.end(), first, first + row.count);
      if (row.sample) wanted_.push_back(static_cast<std::uint32_t>(ids_.size() - 1));
    }
  }

  const std::unique_ptr<Llama> model_;
  const EngineInfo info_;
  std::vector<TokenId> ids_;  // of the step, as are the next two: kept for their capacity
  std::vector<RowSpan> spans_;
  std::vector<std::uint32_t> wanted_;
};

}  // namespace

Result<std::unique_ptr<Runner>> make_cpu_runner(const ModelOptions& options) {
  auto pack = open_pack(options.pack_path);
  if (!pack) return pack.error();
  if (auto same = check_source(**pack, options.gguf_path); !same) return same.error();
  // The numerics check needs two blocks and 8 rows, whatever the batcher wants.
  auto backend = make_cpu_backend(options.isa, options.threads, std::max(options.step_tokens, 8u));
  if (!backend) return backend.error();
  auto model = Llama::open(*pack, std::move(*backend), std::max(options.blocks, 2u));
  if (!model) return model.error();
  EngineInfo info;
  info.model_id = options.model_id;
  info.numerics_id = measure_numerics_id(**model, (*pack)->digest());
  info.context_tokens = (*model)->config().context_tokens;
  info.vocabulary = (*model)->config().vocabulary;
  return std::unique_ptr<Runner>(std::make_unique<CpuRunner>(std::move(*model), std::move(info)));
}

}  // namespace aorta::engine
