#pragma once
// A model opened for one sequence at a time, for the tools and for tests.
#include <functional>
#include <memory>
#include <span>

#include "engine/model/decoder.hpp"
#include "engine/model/model_tools.hpp"

namespace aorta::engine {

class ModelSession {
 public:
  static constexpr std::uint32_t chunk_rows = 128;

  static Result<ModelSession> open(const ToolOptions& options);

  const DecoderConfig& config() const { return model_->config(); }
  // Errors: invalid_argument.
  Result<void> check(std::span<const TokenId> ids) const;

  // Computes `ids` from an empty cache, in chunks, and calls visit(position, logits) for each
  // position from `from` on.
  using Visit = std::function<void(std::uint32_t position, std::span<const float> logits)>;
  void run(std::span<const TokenId> ids, std::uint32_t from, const Visit& visit);

 private:
  explicit ModelSession(std::unique_ptr<Decoder> model);

  std::unique_ptr<Decoder> model_;
  std::vector<std::uint32_t> blocks_;
};

}  // namespace aorta::engine
