// A model without a kernel: the next token is a hash of (seed, choice, all ids), so an answer that
// was moved, cut or recomputed wrongly shows at once. It can stop, dawdle and crash. A position's
// KV is a hash of the ids up to it; a row that finds another's in its blocks gets wrong tokens.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>

#include "engine/batch/sample_place.hpp"
#include "engine/fake/fake_kv.hpp"

namespace aorta::engine {
namespace {

// Most answers should read as text where an id is shown as a byte.
constexpr std::uint32_t first_printable = 32, printable = 95;

class FakeRunner final : public Runner {
 public:
  explicit FakeRunner(const FakeOptions& options) : options_(options) {
    AORTA_CHECK(options.vocabulary > 1, "a fake model needs more than its stop id");
    AORTA_CHECK(options.thinking_tokens == 0 || options.vocabulary >= 128,
                "a fake model thinks in ASCII");
    info_.model_id = options.model_id;
    info_.context_tokens = options.context_tokens;
    info_.vocabulary = options.vocabulary;
    const std::string what_tokens_depend_on =
        fmt::format("fake {} {} {} {}", options.vocabulary, options.stop_id, options.stop_one_in,
                    options.thinking_tokens);
    info_.numerics_id = fmt::format("{:016x}", stable_hash(what_tokens_depend_on));
  }

  const EngineInfo& info() const override { return info_; }

  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    const auto begin = std::chrono::steady_clock::now();
    std::size_t next = 0;
    for (const RunnerRow& row : rows) {
      crash_on_poison(row);
      const std::uint64_t surprise = fill_kv(row);
      for (std::uint32_t sample = 0; sample < row.samples; ++sample) {
        const Place at{place_of(row, sample), *row.sampling, surprise};
        Choice& choice = chosen[next++];
        choice.id = next_token(at);
        if (row.top_logprobs) choice.logprobs = made_up_logprobs(at, choice.id, *row.top_logprobs);
      }
    }
    if (options_.step_us > 0) {
      std::this_thread::sleep_until(begin + std::chrono::microseconds(options_.step_us));
    }
  }

  std::span<std::byte> kv_block(std::uint32_t block) override {
    return std::as_writable_bytes(std::span(kv_of(block)));
  }

 private:
  using KvBlock = std::array<std::uint64_t, block_tokens>;
  struct Place : SamplePlace {
    const Sampling& sampling;
    std::uint64_t surprise = 0;  // not 0: some KV before the row was not its own
  };

  KvBlock& kv_of(std::uint32_t block) {
    if (block >= kv_.size()) kv_.resize(block + 1);
    return kv_[block];
  }

  // Writes the KV of the row's positions; answers what is wrong with that of those before, or 0.
  std::uint64_t fill_kv(const RunnerRow& row) {
    std::uint64_t kv = 0, surprise = 0;
    for (std::uint32_t position = 0; position < row.first + row.count; ++position) {
      kv = fake_kv(kv, row.ids[position]);
      std::uint64_t& kept = kv_of(row.blocks[position / block_tokens])[position % block_tokens];
      if (position >= row.first) kept = kv;
      surprise |= kept ^ kv;
    }
    return surprise;
  }

  void crash_on_poison(const RunnerRow& row) const {
    if (options_.poison < 0) return;
    const std::uint32_t end = std::min(row.first + row.count, row.prompt_tokens);
    for (std::uint32_t position = row.first; position < end; ++position) {
      if (row.ids[position] != options_.poison) continue;
      std::fprintf(stderr, "fake engine: the prompt holds the poison id %d\n", options_.poison);
      std::abort();
    }
  }

  // An id with a bias comes about so many times in a hundred.
  static std::optional<TokenId> favourite(const Place& at, std::uint64_t hash) {
    auto draw = static_cast<float>(hash % 100);
    for (const auto& [id, bias] : at.sampling.logit_bias) {
      if (bias > 0 && draw < bias) return id;
      draw -= std::max(bias, 0.0f);
    }
    return std::nullopt;
  }

  static std::uint64_t hash_of(const Place& at) {
    const std::string_view bytes(reinterpret_cast<const char*>(at.ids.data()), at.ids.size_bytes());
    return at.surprise ^
           stable_hash(bytes, at.sampling.seed * 31 + at.sampling.choice + drawing_of(at));
  }

  // Whoever asks for a way of drawing of its own has it and the token's index in the hash, as the
  // real sampler has: one that is lost on a move shows at once.
  static std::uint64_t drawing_of(const Place& at) {
    const Sampling& s = at.sampling;
    const std::array<float, 6> drawing{s.top_p,
                                       s.min_p,
                                       static_cast<float>(s.top_k),
                                       s.presence_penalty,
                                       s.frequency_penalty,
                                       s.repetition_penalty};
    constexpr std::array<float, 6> plain{1, 0, 0, 0, 0, 1};
    if (drawing == plain) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(drawing.data()), sizeof drawing);
    return stable_hash(bytes, at.generated_index);
  }

  // The chosen token is the likeliest, and each id after it half as likely.
  TokenLogprobs made_up_logprobs(const Place& at, TokenId chosen, std::uint32_t top) const {
    constexpr float ln2 = 0.6931472f;
    const float first = -static_cast<float>(hash_of(at) >> 48) / 65536.0f;
    TokenLogprobs logprobs{first, {}};
    for (std::uint32_t i = 0; i < std::min(top, options_.vocabulary); ++i) {
      const auto id = (static_cast<std::uint32_t>(chosen) + i) % options_.vocabulary;
      logprobs.top.emplace_back(static_cast<TokenId>(id), first - static_cast<float>(i) * ln2);
    }
    return logprobs;
  }

  // What ends its thinking, in its place; -1 elsewhere.
  TokenId end_of_thinking(std::uint32_t generated_index) const {
    constexpr std::string_view end = "</think>";
    const std::uint32_t at = generated_index - options_.thinking_tokens;  // wraps before its place
    return options_.thinking_tokens > 0 && at < end.size() ? TokenId{end[at]} : -1;
  }

  TokenId next_token(const Place& at) const {
    if (const TokenId id = end_of_thinking(at.generated_index); id >= 0) return id;
    const std::uint64_t hash = hash_of(at);
    const auto banned = [&](TokenId id) {
      return std::find(at.banned.begin(), at.banned.end(), id) != at.banned.end();
    };
    if (options_.stop_one_in > 0 && (hash >> 32) % options_.stop_one_in == 0 &&
        !banned(options_.stop_id)) {
      return options_.stop_id;
    }
    if (const auto id = favourite(at, hash >> 16); id && !banned(*id)) return *id;
    const bool as_text = options_.vocabulary >= first_printable + printable && hash % 16 != 0;
    std::uint64_t id =
        as_text ? first_printable + (hash >> 8) % printable : (hash >> 8) % options_.vocabulary;
    // The nearest id that is neither banned nor, said by accident, the stop id.
    for (std::uint32_t tries = 0; tries < options_.vocabulary; ++tries) {
      const auto token = static_cast<TokenId>(id);
      if (token != options_.stop_id && !banned(token)) return token;
      id = (id + 1) % options_.vocabulary;
    }
    return 0;
  }

  FakeOptions options_;
  EngineInfo info_;
  std::deque<KvBlock> kv_;  // by block; grows without moving
};

}  // namespace

std::unique_ptr<Runner> make_fake_runner(const FakeOptions& options) {
  return std::make_unique<FakeRunner>(options);
}

}  // namespace aorta::engine
