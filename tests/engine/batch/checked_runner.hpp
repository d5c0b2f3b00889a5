#pragma once
// The fake runner with a KV cache to get wrong: each position of each block remembers which prefix
// was computed there, and every row must find its own. Also holds the step to its budget.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "engine/engine.hpp"

namespace aorta::engine {

class CheckedRunner final : public Runner {
 public:
  CheckedRunner(const FakeOptions& options, const BatchLimits& limits)
      : inner_(make_fake_runner(options)),
        limits_(limits),
        kv_(std::size_t{limits.blocks} * block_tokens) {}

  const EngineInfo& info() const override { return inner_->info(); }

  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    std::uint32_t positions = 0;
    std::set<std::uint32_t> held;
    for (const RunnerRow& row : rows) {
      positions += row.count;
      ASSERT_GT(row.count, 0u);
      ASSERT_LE(row.first + row.count, row.ids.size());
      ASSERT_EQ(row.sample, row.first + row.count == row.ids.size());
      ASSERT_EQ(row.generated_index, row.ids.size() - row.prompt_tokens);
      ASSERT_GE(row.blocks.size() * block_tokens, row.first + row.count);
      ASSERT_LT(row.blocks.size() * block_tokens, row.first + row.count + block_tokens)
          << "blocks are taken before their tokens come";
      for (const std::uint32_t block : row.blocks) {
        ASSERT_TRUE(held.insert(block).second) << "block " << block << " is held twice";
      }
      check_and_fill(row);
    }
    ASSERT_LE(positions, limits_.step_tokens);
    ASSERT_LE(rows.size(), limits_.slots);
    most_positions = std::max(most_positions, positions);
    inner_->run(rows, chosen);
  }

  std::uint32_t most_positions = 0;

 private:
  void check_and_fill(const RunnerRow& row) {
    std::uint64_t prefix = 1;
    for (std::uint32_t p = 0; p < row.first + row.count; ++p) {
      prefix = (prefix + static_cast<std::uint64_t>(row.ids[p]) + 1) * 0x9E3779B97F4A7C15u;
      std::uint64_t& stored =
          kv_.at(std::size_t{row.blocks[p / block_tokens]} * block_tokens + p % block_tokens);
      if (p >= row.first) stored = prefix;
      ASSERT_EQ(stored, prefix) << "position " << p << " holds another sequence's KV";
    }
  }

  std::unique_ptr<Runner> inner_;
  BatchLimits limits_;
  std::vector<std::uint64_t> kv_;
};

}  // namespace aorta::engine
