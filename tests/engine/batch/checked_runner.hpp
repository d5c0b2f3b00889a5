#pragma once
// The fake runner with an eye on its KV: every row must find its own prefix in its blocks, and no
// two rows may hold a block that one of them writes. Also holds the step to its budget.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "engine/engine.hpp"
#include "engine/fake/fake_kv.hpp"

namespace aorta::engine {

class CheckedRunner final : public Runner {
 public:
  CheckedRunner(const FakeOptions& options, const BatchLimits& limits)
      : inner_(make_fake_runner(options)), limits_(limits) {}

  const EngineInfo& info() const override { return inner_->info(); }

  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    std::uint32_t positions = 0;
    std::set<std::uint32_t> written;
    for (const RunnerRow& row : rows) {
      positions += row.count;
      ASSERT_GT(row.count, 0u);
      ASSERT_LE(row.first + row.count, row.ids.size());
      ASSERT_EQ(row.samples > 0, row.first + row.count == row.ids.size());
      ASSERT_LE(row.samples, row.count);
      if (row.samples > 0) {
        ASSERT_EQ(row.generated_index, row.ids.size() + 1 - row.samples - row.prompt_tokens);
      }
      ASSERT_GE(row.blocks.size() * block_tokens, row.first + row.count);
      ASSERT_LT(row.blocks.size() * block_tokens, row.first + row.count + block_tokens)
          << "blocks are taken before their tokens come";
      for (std::size_t at = row.first / block_tokens; at < row.blocks.size(); ++at) {
        ASSERT_TRUE(written.insert(row.blocks[at]).second) << "two write " << row.blocks[at];
      }
      check(row);
    }
    for (const RunnerRow& row : rows) {
      for (std::size_t at = 0; at < row.first / block_tokens; ++at) {
        ASSERT_FALSE(written.contains(row.blocks[at])) << "one writes what another reads";
      }
    }
    ASSERT_LE(positions, limits_.step_tokens);
    ASSERT_LE(rows.size(), limits_.slots);
    most_positions = std::max(most_positions, positions);
    inner_->run(rows, chosen);
  }

  std::span<std::byte> kv_block(std::uint32_t block) override { return inner_->kv_block(block); }

  std::uint32_t most_positions = 0;

 private:
  void check(const RunnerRow& row) {
    std::uint64_t expected = 0;
    for (std::uint32_t p = 0; p < row.first; ++p) {
      expected = fake_kv(expected, row.ids[p]);
      std::uint64_t found = 0;
      std::memcpy(
          &found,
          inner_->kv_block(row.blocks[p / block_tokens]).data() + p % block_tokens * sizeof(found),
          sizeof(found));
      ASSERT_EQ(found, expected) << "position " << p << " holds another sequence's KV";
    }
  }

  std::unique_ptr<Runner> inner_;
  BatchLimits limits_;
};

}  // namespace aorta::engine
