#include "engine/model/numerics.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>
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

// The logits after every id, computed in chunks of the given sizes in one KV block.
std::vector<float> logits_by_chunks(Decoder& model, const Prompt& prompt, std::uint32_t block,
                                    std::initializer_list<std::uint32_t> chunks) {
  std::vector<float> all;
  std::uint32_t position = 0;
  for (const std::uint32_t count : chunks) {
    const RowSpan span = {0, count, position, {&block, 1}};
    std::vector<std::uint32_t> rows(count);
    std::iota(rows.begin(), rows.end(), 0u);
    const auto logits =
        model.forward(std::span<const TokenId>(prompt).subspan(position, count), {&span, 1}, rows);
    all.insert(all.end(), logits.begin(), logits.end());
    position += count;
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

std::string measure_numerics_id(Decoder& model, std::string_view weights_digest) {
  const Prompt prompt = fixed_prompt(model.config().vocabulary);
  const std::vector<float> whole = logits_by_chunks(model, prompt, 0, {8});
  AORTA_CHECK(same_bits(whole, logits_by_chunks(model, prompt, 1, {3, 5})),
              "logits depend on how a prompt is cut into chunks");
  AORTA_CHECK(same_bits(whole, logits_by_chunks(model, prompt, 0, {7, 1})),
              "a decode's logits differ from a prefill's");
  const XXH64_hash_t seed = XXH3_64bits(weights_digest.data(), weights_digest.size());
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(whole.data(), whole.size() * sizeof(float), seed);
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace aorta::engine
