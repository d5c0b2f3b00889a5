#include "engine/model/model_tools.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/model/decoder_plan.hpp"
#include "engine/model/model_session.hpp"

namespace aorta::engine {
namespace {

// -log softmax(logits)[id], summed in double.
double negative_log_likelihood(std::span<const float> logits, TokenId id) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double mass = 0.0;
  for (const float logit : logits) mass += std::exp(logit - largest);
  return largest + std::log(mass) - logits[static_cast<std::size_t>(id)];
}

}  // namespace

Result<ModelSummary> inspect_model(const std::string& model_path) {
  auto file = ModelSource::open(model_path);
  if (!file) return file.error();
  ModelSummary summary;
  summary.architecture = (*file)->get_string("general.architecture").value_or("");
  summary.name = (*file)->get_string("general.name").value_or("");
  for (const auto content : (*file)->contents()) summary.file_bytes += content.size();
  for (const ModelSource::Entry& entry : (*file)->metadata()) {
    summary.metadata.emplace_back(entry.key, entry.summary);
  }
  std::map<std::string, std::uint64_t> types;
  for (const SourceTensor& tensor : (*file)->tensors()) {
    std::uint64_t elements = 1;
    for (const std::uint64_t n : tensor.dims) elements *= n;
    types[std::string(tensor.type_name)] += elements;
    summary.parameters += elements;
  }
  summary.tensor_types.assign(types.begin(), types.end());
  auto items = plan_pack(**file);  // says what this build could not run
  if (!items) return items.error();
  auto config = read_decoder_config(**file, **find_architecture(**file));
  if (!config) return config.error();
  summary.layers = config->layers;
  summary.hidden = config->hidden;
  summary.feed_forward = config->feed_forward;
  summary.heads = config->heads;
  summary.kv_heads = config->kv_heads;
  summary.head_size = config->head_size;
  summary.vocabulary = config->vocabulary;
  summary.context_tokens = config->context_tokens;
  summary.kv_bytes_per_token =
      std::uint64_t{2} * config->layers * config->kv_heads * config->head_size * 2;
  return summary;
}

Result<std::vector<float>> model_logits(const ToolOptions& options, std::span<const TokenId> ids) {
  auto session = ModelSession::open(options);
  if (!session) return session.error();
  if (auto valid = session->check(ids); !valid) return valid.error();
  std::vector<float> last;
  session->run(ids, static_cast<std::uint32_t>(ids.size() - 1),
               [&](std::uint32_t, std::span<const float> logits) {
                 last.assign(logits.begin(), logits.end());
               });
  return last;
}

Result<Perplexity> model_perplexity(const ToolOptions& options, std::span<const TokenId> ids,
                                    std::uint32_t window) {
  auto session = ModelSession::open(options);
  if (!session) return session.error();
  if (window == 0) window = static_cast<std::uint32_t>(ids.size());
  if (window < 2 || ids.size() < window) {
    return Error{ErrorCode::invalid_argument,
                 "perplexity needs windows of at least 2 ids and one whole window of text, not " +
                     std::to_string(ids.size()) + " ids in windows of " + std::to_string(window)};
  }
  Perplexity result;
  double total = 0.0;
  for (std::size_t first = 0; first + window <= ids.size(); first += window) {
    const auto part = ids.subspan(first, window);
    if (auto valid = session->check(part); !valid) return valid.error();
    session->run(part, 0, [&](std::uint32_t position, std::span<const float> logits) {
      if (position + 1 == window) return;
      total += negative_log_likelihood(logits, part[position + 1]);
      ++result.tokens;
    });
  }
  result.mean_nll = total / static_cast<double>(result.tokens);
  return result;
}

}  // namespace aorta::engine
