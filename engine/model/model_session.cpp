#include "engine/model/model_session.hpp"

#include <algorithm>
#include <numeric>

#include "engine/engine.hpp"

namespace aorta::engine {

ModelSession::ModelSession(std::unique_ptr<Decoder> model) : model_(std::move(model)) {
  blocks_.resize((model_->config().context_tokens + block_tokens - 1) / block_tokens);
  std::iota(blocks_.begin(), blocks_.end(), 0u);
}

Result<ModelSession> ModelSession::open(const ToolOptions& options) {
  auto path = pack_model(options.gguf_path, options.pack_directory);
  if (!path) return path.error();
  auto pack = open_pack(*path);
  if (!pack) return pack.error();
  auto backend = make_cpu_backend(options.isa, options.threads, chunk_rows);
  if (!backend) return backend.error();
  auto config = Decoder::config_of(**pack);
  if (!config) return config.error();
  const std::uint32_t blocks = (config->context_tokens + block_tokens - 1) / block_tokens;
  auto model = Decoder::open(*pack, std::move(*backend), blocks);
  if (!model) return model.error();
  return ModelSession(std::move(*model));
}

Result<void> ModelSession::check(std::span<const TokenId> ids) const {
  if (ids.empty() || ids.size() > config().context_tokens) {
    return Error{ErrorCode::invalid_argument, std::to_string(ids.size()) + " ids: 1 to " +
                                                  std::to_string(config().context_tokens) +
                                                  " fit the model's context"};
  }
  for (const TokenId id : ids) {
    if (id < 0 || static_cast<std::uint32_t>(id) >= config().vocabulary) {
      return Error{ErrorCode::invalid_argument, "token id " + std::to_string(id) +
                                                    " is outside the vocabulary of " +
                                                    std::to_string(config().vocabulary)};
    }
  }
  return {};
}

void ModelSession::run(std::span<const TokenId> ids, std::uint32_t from, const Visit& visit) {
  const auto size = static_cast<std::uint32_t>(ids.size());
  for (std::uint32_t first = 0; first < size; first += chunk_rows) {
    const std::uint32_t count = std::min(chunk_rows, size - first);
    std::vector<std::uint32_t> wanted;
    for (std::uint32_t i = first; i < first + count; ++i) {
      if (i >= from) wanted.push_back(i - first);
    }
    const RowSpan span = {0, count, first, blocks_};
    const auto logits = model_->forward(ids.subspan(first, count), {&span, 1}, wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      visit(first + wanted[i], logits.subspan(i * config().vocabulary, config().vocabulary));
    }
  }
}

}  // namespace aorta::engine
