// The one-answer rule: the logits of a model at every position are one constant, whatever the
// instruction set, the threads, the cut of a prompt into chunks, the neighbours in a batch and the
// place of its KV blocks.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "engine/cpu/isa.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

constexpr std::uint32_t length = 264;       // beyond one attention tile of 256 positions
constexpr std::uint32_t decode_from = 248;  // decoded one by one from here, across the tile's end
constexpr std::uint32_t length_blocks = (length + 15) / 16;
constexpr std::uint32_t neighbour_blocks = (length - decode_from + 15) / 16;
constexpr std::uint32_t max_rows = length, most_neighbours = 31;
constexpr std::uint32_t all_blocks = length_blocks + most_neighbours * neighbour_blocks;

struct Case {
  const char* model;
  const char* logits_hash;  // committed: XXH3 128 of the logits after each of the 264 ids
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.model; }
constexpr Case cases[] = {
    {"tiny-llama-gqa.Q8_0", "4470a30f26f9cddcd578feb0d1290f81"},
    {"tiny-llama-gqa.Q4_0", "d4ad7962123deae0347a5dbd8e331504"},
    {"tiny-llama3-rope.F16", "cc325c474a2238219e765c2b95db0165"},
    {"tiny-qwen2.Q8_0", "f555b9d5b550330a03cbc6b0ef8c2715"},
    {"tiny-qwen2-untied.Q5_1", "1f87666e48bff4a7f7d732df3464e1e8"},
    {"tiny-llama3-rope", "487b11beb24ee8cc9a58669ef23e8953"},
    {"tiny-qwen3", "9c053d3811a527a364984216b8cbee68"},
};

std::vector<TokenId> random_ids(std::uint32_t seed, std::uint32_t count) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % 512);
  return ids;
}

// The hash of one sequence's logits, computed as the parameters say.
class Computation {
 public:
  Computation(Decoder& model, std::uint32_t seed) : model_(model), blocks_(all_blocks) {
    std::iota(blocks_.begin(), blocks_.end(), 0u);
    if (seed != 0) std::shuffle(blocks_.begin(), blocks_.end(), std::mt19937(seed));
  }

  // Alone, `chunk` positions at a time.
  std::string in_chunks(std::uint32_t chunk) {
    for (std::uint32_t first = 0; first < length; first += chunk) {
      const std::uint32_t count = std::min(chunk, length - first);
      std::vector<std::uint32_t> wanted(count);
      std::iota(wanted.begin(), wanted.end(), 0u);
      const RowSpan span = {0, count, first, table()};
      const auto ids = std::span<const TokenId>(ids_).subspan(first, count);
      keep(first, model_.forward(ids, {&span, 1}, wanted));
    }
    return hash();
  }

  // The last positions again, one a step, beside neighbours at other positions of other sequences.
  std::string decoded_again(std::uint32_t rows) {
    for (std::uint32_t position = decode_from; position < length; ++position) {
      const std::uint32_t step = position - decode_from;
      const std::uint32_t mine = position % rows;  // not always the first row
      std::vector<RowSpan> spans;
      std::vector<TokenId> ids;
      for (std::uint32_t row = 0; row < rows; ++row) {
        if (row == mine) {
          spans.push_back({row, 1, position, table()});
          ids.push_back(ids_[position]);
        } else {
          spans.push_back({row, 1, step, neighbour_table(row - (row > mine))});
          ids.push_back(static_cast<TokenId>((row * 37 + step) % 512));
        }
      }
      keep(position, model_.forward(ids, spans, {&mine, 1}));
    }
    return hash();
  }

 private:
  std::span<const std::uint32_t> table() const { return {blocks_.data(), length_blocks}; }
  std::span<const std::uint32_t> neighbour_table(std::uint32_t index) const {
    return {blocks_.data() + length_blocks + index * neighbour_blocks, neighbour_blocks};
  }
  void keep(std::uint32_t position, std::span<const float> logits) {
    std::copy(logits.begin(), logits.end(), logits_.begin() + position * std::ptrdiff_t{512});
  }
  std::string hash() const {
    const XXH128_hash_t h = XXH3_128bits(logits_.data(), logits_.size() * sizeof(float));
    char text[33];
    std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(h.high64),
                  static_cast<unsigned long long>(h.low64));
    return text;
  }

  Decoder& model_;
  std::vector<std::uint32_t> blocks_;
  std::vector<TokenId> ids_ = random_ids(1, length);
  std::vector<float> logits_ = std::vector<float>(length * 512);
};

using Parameters = std::tuple<Case, std::string, std::uint32_t>;

class OneAnswer : public testing::TestWithParam<Parameters> {};

TEST_P(OneAnswer, LogitsAreOneConstant) {
  const auto& [expected, isa, threads] = GetParam();
  const auto available = cpu::available_isas();
  if (std::find(available.begin(), available.end(), isa) == available.end()) {
    GTEST_SKIP() << "not run: this machine lacks " << isa;
  }
  const TemporaryDirectory directory;
  const auto pack = pack_and_open(tiny_model_path(expected.model), directory.path());
  const auto model = open_model(pack, isa, threads, max_rows, all_blocks);
  std::uint32_t seed = 0;
  EXPECT_EQ(Computation(*model, ++seed).in_chunks(length), expected.logits_hash) << "whole";
  for (const std::uint32_t rows : {1u, 2u, 7u, 16u, 32u}) {
    Computation computation(*model, ++seed);
    EXPECT_EQ(computation.in_chunks(rows), expected.logits_hash) << "chunks of " << rows;
    EXPECT_EQ(computation.decoded_again(rows), expected.logits_hash) << "decode of " << rows;
  }
}

INSTANTIATE_TEST_SUITE_P(, OneAnswer,
                         testing::Combine(testing::ValuesIn(cases),
                                          testing::Values("scalar", "avx2", "avxvnni", "avx512"),
                                          testing::Values(1u, 2u)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param).model;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name + "_" + std::get<1>(info.param) + "_threads" +
                                  std::to_string(std::get<2>(info.param));
                         });

}  // namespace
}  // namespace aorta::engine
