#include "engine/model/numerics.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

namespace aorta::engine {
namespace {

constexpr std::uint32_t prompt_size = 8;
using Prompt = std::array<TokenId, prompt_size>;

// Ids spread over the vocabulary.
Prompt fixed_prompt(std::uint32_t vocabulary) {
  Prompt prompt;
  for (std::uint32_t i = 0; i < prompt_size; ++i) {
    prompt[i] = static_cast<TokenId>((std::uint64_t{i} * 2654435761u + 17) % vocabulary);
  }
  return prompt;
}

// Consecutive ids of the prompt, from `first` to before `end`, and the block that has or gets the
// KV of all before `end`.
struct Part {
  std::uint32_t block, first, end;
};

// The logits after each id of the parts, computed in one batch.
std::vector<float> compute(Decoder& model, const Prompt& prompt,
                           std::initializer_list<Part> parts) {
  std::vector<TokenId> ids;
  std::vector<RowSpan> spans;
  for (const Part& part : parts) {
    const auto row = static_cast<std::uint32_t>(ids.size());
    spans.push_back({row, part.end - part.first, part.first, {&part.block, 1}});
    ids.insert(ids.end(), prompt.begin() + part.first, prompt.begin() + part.end);
  }
  std::vector<std::uint32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0u);
  const std::span<const float> logits = model.forward(ids, spans, rows);
  return {logits.begin(), logits.end()};
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

std::string measure_numerics_id(Decoder& model, std::string_view weights_digest) {
  const Prompt prompt = fixed_prompt(model.config().vocabulary);
  const std::size_t vocabulary = model.config().vocabulary;
  const std::vector<float> both = compute(model, prompt, {{0, 0, 8}, {1, 0, 3}});
  const auto whole = std::span(both).first(8 * vocabulary);
  const auto begun = std::span(both).subspan(8 * vocabulary);
  const std::vector<float> rest = compute(model, prompt, {{1, 3, 8}});
  AORTA_CHECK(same_bits(whole.first(3 * vocabulary), begun) &&
                  same_bits(whole.subspan(3 * vocabulary), rest),
              "logits depend on how a prompt is cut into chunks");
  const std::vector<float> decoded = compute(model, prompt, {{0, 7, 8}});
  AORTA_CHECK(same_bits(whole.subspan(7 * vocabulary), decoded),
              "a decode's logits differ from a prefill's");
  const XXH64_hash_t seed = XXH3_64bits(weights_digest.data(), weights_digest.size());
  const XXH128_hash_t hash = XXH3_128bits_withSeed(whole.data(), whole.size_bytes(), seed);
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace aorta::engine
