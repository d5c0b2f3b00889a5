#pragma once
// What `aorta model inspect|logits|perplexity` is made of: a model examined or run without a mesh.
// The two that compute pack on demand into `pack_directory`.
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace aorta::engine {

struct ModelSummary {
  std::string architecture;
  std::string name;
  std::uint64_t parameters = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t layers = 0, hidden = 0, feed_forward = 0;
  std::uint32_t heads = 0, kv_heads = 0, head_size = 0;
  std::uint32_t vocabulary = 0, context_tokens = 0;
  std::uint64_t kv_bytes_per_token = 0;
  std::vector<std::pair<std::string, std::uint64_t>> tensor_types;  // name, parameters of it
  std::vector<std::pair<std::string, std::string>> metadata;        // key, shortened value
};

// Errors: those of ModelSource::open and of a model that this build can't run, which is said.
Result<ModelSummary> inspect_model(const std::string& model_path);

struct ToolOptions {
  std::string gguf_path;  // or a model directory
  std::string pack_directory;
  std::uint32_t threads = 1;
  std::string isa = "auto";
};

// The logits after the last of `ids`. Errors: invalid_argument (no ids, an id outside the
// vocabulary, more than the context), those of packing and opening.
Result<std::vector<float>> model_logits(const ToolOptions& options, std::span<const TokenId> ids);

struct Perplexity {
  double mean_nll = 0.0;  // natural log
  std::uint64_t tokens = 0;
};

// Mean negative log-likelihood over non-overlapping windows of `window` ids, each from an empty
// cache and judged from its second id on, a last partial one dropped; window 0: all ids at once.
Result<Perplexity> model_perplexity(const ToolOptions& options, std::span<const TokenId> ids,
                                    std::uint32_t window);

}  // namespace aorta::engine
