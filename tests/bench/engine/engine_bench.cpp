// Times the engine alone, as the batcher drives it: decode with so many sequences at once, prefill
// of so many ids, what such a prefill does to the tokens of others, and the machine's read
// bandwidth. One JSON object a line.
//
//   engine_bench GGUF PACKS [threads=2] [isa=auto] decode ROWS CONTEXT STEPS
//   engine_bench GGUF PACKS [threads=2] [isa=auto] prefill IDS TIMES
//   engine_bench GGUF PACKS [threads=2] [isa=auto] [store=MIB] beside IDS ROWS CONTEXT
//   engine_bench GGUF PACKS [threads=2] [isa=auto] bandwidth MIB
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/cpu/thread_pool.hpp"
#include "engine/engine.hpp"
#include "engine/kv/block_store.hpp"
#include "engine/model/pack.hpp"

namespace {

using namespace aorta;
using namespace aorta::engine;

struct Options {
  std::string gguf, packs, isa = "auto", mode;
  std::uint32_t threads = 2;
  std::uint64_t store_mib = 0;  // of a store of KV blocks; 0: none
  std::vector<std::uint32_t> numbers;
};

double seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "engine_bench: %s\n", why.c_str());
  std::exit(2);
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

void print(const Options& options, const std::vector<double>& step_s, double tokens_per_step) {
  const double median = percentile(step_s, 0.5);
  std::printf(
      "{\"mode\": \"%s\", \"threads\": %u, \"isa\": \"%s\", \"a\": %u, \"b\": %u, "
      "\"tokens_per_s\": %.1f, \"ms_p50\": %.3f, \"ms_p10\": %.3f, \"ms_p99\": %.3f}\n",
      options.mode.c_str(), options.threads, options.isa.c_str(), options.numbers[0],
      options.numbers[1], tokens_per_step / median, median * 1e3, percentile(step_s, 0.1) * 1e3,
      percentile(step_s, 0.99) * 1e3);
}

// The host's, in /dev/shm as a cache service makes it; nothing else opens it, so it goes at once.
std::shared_ptr<BlockStore> open_store(const Options& options, Runner& runner) {
  const std::string path = "/dev/shm/engine_bench." + std::to_string(::getpid());
  const std::uint64_t block = runner.kv_block(0).size();
  const auto owner = SharedBlockStore::create(path, options.store_mib << 20, block);
  if (!owner) fail(owner.error().message);
  auto store = SharedBlockStore::open(path, runner.info().numerics_id);
  ::unlink(path.c_str());
  if (!store) fail(store.error().message);
  return std::move(*store);
}

std::unique_ptr<Stepper> open(const Options& options, BatchLimits limits) {
  auto pack = pack_model(options.gguf, options.packs);
  if (!pack) fail(pack.error().message);
  ModelOptions model;
  model.gguf_path = options.gguf;
  model.pack_path = *pack;
  model.threads = options.threads;
  model.isa = options.isa;
  model.blocks = limits.blocks;
  model.step_tokens = limits.step_tokens;
  auto runner = make_cpu_runner(model);
  if (!runner) fail(runner.error().message);
  std::shared_ptr<BlockStore> store;
  if (options.store_mib > 0) store = open_store(options, **runner);
  return make_stepper(std::move(*runner), limits, std::move(store));
}

// A sequence of ids that no other has in common, greedy, that never stops by itself.
Sequence sequence(std::uint64_t number, std::uint32_t length, std::uint32_t max_tokens) {
  Sequence s;
  s.key.request.high = number + 1;
  s.key.epoch.value = 1;
  std::uint64_t state = number * 0x9E3779B97F4A7C15ull + 1;
  for (std::uint32_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    s.ids.push_back(static_cast<TokenId>(20 + (state >> 33) % 40000));
  }
  s.prompt_tokens = length;
  s.max_tokens = max_tokens;
  s.sampling.temperature = 0;
  return s;
}

void decode(const Options& options) {
  const std::uint32_t rows = options.numbers[0], context = options.numbers[1];
  const std::uint32_t steps = options.numbers[2];
  BatchLimits limits;
  limits.slots = rows;
  limits.draft_tokens = 0;  // a token a row and step
  limits.step_tokens = 256;
  limits.blocks = rows * ((context + steps + 64) / 16 + 2);
  auto stepper = open(options, limits);
  const auto start_all = [&](std::uint32_t max_tokens) {
    for (std::uint32_t i = 0; i < rows; ++i) {
      if (auto started = stepper->start(sequence(i, context, max_tokens)); !started) {
        fail(started.error().message);
      }
    }
  };
  // Their prompts are computed by now, so that all decode from their context on.
  start_all(1);
  while (!stepper->idle()) stepper->step();
  start_all(steps + 32);
  std::vector<double> step_s;
  while (step_s.size() < steps) {
    const double begin = seconds();
    if (stepper->idle()) fail("the answers ended before the steps did");
    const StepReport report = stepper->step();
    if (report.prefill_tokens == 0 && report.tokens.size() == rows) {
      step_s.push_back(seconds() - begin);
    }
  }
  print(options, step_s, rows);
}

void prefill(const Options& options) {
  const std::uint32_t length = options.numbers[0], times = options.numbers[1];
  BatchLimits limits;
  limits.slots = 1;
  limits.prefix_cache = false;
  limits.blocks = length / 16 + 8;
  auto stepper = open(options, limits);
  std::vector<double> took;
  for (std::uint32_t i = 0; i <= times; ++i) {
    if (auto started = stepper->start(sequence(i, length, 1)); !started) {
      fail(started.error().message);
    }
    const double begin = seconds();
    while (!stepper->idle()) stepper->step();
    if (i > 0) took.push_back(seconds() - begin);
  }
  print(options, took, length);
}

// Answers side by side that never end: each begins again, from what is cached of its prompt, before
// its context has grown much. So a step costs the same however long the others take.
class Answers {
 public:
  Answers(Stepper& stepper, std::uint32_t rows, std::uint32_t context)
      : stepper_(stepper), context_(context) {
    for (std::uint32_t row = 0; row < rows; ++row) begin(row);
  }

  // What passed between the step's tokens and the ones before, by answer; a first token has none.
  void take(const StepReport& report, double at, std::vector<double>& gaps_s) {
    for (const Generated& token : report.tokens) {
      const auto row = rows_.find(token.key);
      if (row == rows_.end()) continue;
      double& last = last_[row->second];
      if (token.index.value > 0) gaps_s.push_back(at - last);
      last = at;
      if (token.finish != Finish::none) begin(row->second);
    }
  }

 private:
  void begin(std::uint32_t row) {
    // Its last id alone is beyond the full blocks, and each ends at a time of its own.
    Sequence s = sequence(row, (context_ / block_tokens) * block_tokens + 1, 48 + 5 * row);
    s.key.request.low = ++begun_;
    rows_[s.key] = row;
    if (auto started = stepper_.start(std::move(s)); !started) fail(started.error().message);
  }

  Stepper& stepper_;
  const std::uint32_t context_;
  std::uint64_t begun_ = 0;
  std::map<SequenceKey, std::uint32_t> rows_;
  std::map<std::uint32_t, double> last_;  // when a row's last token came
};

void beside(const Options& options) {
  const std::uint32_t length = options.numbers[0], rows = options.numbers[1];
  BatchLimits limits;
  limits.slots = rows + 1;
  limits.draft_tokens = 0;
  limits.blocks = 2 * (length / block_tokens + rows * (options.numbers[2] / block_tokens + 10));
  auto stepper = open(options, limits);
  Answers answers(*stepper, rows, options.numbers[2]);
  std::vector<double> before, during;
  StepReport report;
  const auto step = [&](std::vector<double>& gaps_s) {
    stepper->step(report);
    answers.take(report, seconds(), gaps_s);
  };
  for (int warm = 0; warm < 100; ++warm) step(before);
  before.clear();
  for (int steps = 0; steps < 500; ++steps) step(before);
  const Sequence prompt = sequence(rows, length, 1);
  if (auto started = stepper->start(prompt); !started) fail(started.error().message);
  const double begin = seconds();
  std::uint32_t steps = 0;
  for (bool done = false; !done; ++steps) {
    step(during);
    for (const Generated& token : report.tokens) done = done || token.key == prompt.key;
  }
  const double took = seconds() - begin;
  const double p50 = percentile(before, 0.5), p99 = percentile(before, 0.99);
  const double p50_during = percentile(during, 0.5), p99_during = percentile(during, 0.99);
  std::printf(
      "{\"mode\": \"beside\", \"threads\": %u, \"isa\": \"%s\", \"prompt\": %u, \"rows\": %u, "
      "\"context\": %u, \"itl_ms_p50\": %.2f, \"itl_ms_p99\": %.2f, "
      "\"itl_ms_p50_during\": %.2f, \"itl_ms_p99_during\": %.2f, "
      "\"itl_ms_most_during\": %.2f, \"p50_ratio\": %.2f, \"p99_ratio\": %.2f, "
      "\"steps\": %u, \"prefill_tokens_per_s\": %.1f}\n",
      options.threads, options.isa.c_str(), length, rows, options.numbers[2], p50 * 1e3, p99 * 1e3,
      p50_during * 1e3, p99_during * 1e3, percentile(during, 1) * 1e3, p50_during / p50,
      p99_during / p99, steps, length / took);
}

void bandwidth(Options options) {
  const std::size_t bytes = std::size_t{options.numbers[0]} << 20;
  options.numbers.push_back(0);
  void* memory = std::aligned_alloc(std::size_t{2} << 20, bytes);
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 1, bytes);
  cpu::ThreadPool pool(options.threads);
  std::vector<double> took;
  std::vector<std::uint64_t> sums(options.threads * 8);
  for (int i = 0; i < 9; ++i) {
    const double begin = seconds();
    pool.run([&](std::uint32_t thread) {
      const std::size_t part = bytes / options.threads / 256 * 256;
      const char* p = static_cast<const char*>(memory) + thread * part;
      std::uint64_t sum = 0;
      for (std::size_t at = 0; at < part; at += 64) {
        _mm_prefetch(p + at + 2560, _MM_HINT_T0);
        std::uint64_t words[8];
        std::memcpy(words, p + at, 64);
        for (const std::uint64_t word : words) sum |= word;
      }
      sums[thread * 8] = sum;
    });
    took.push_back(seconds() - begin);
  }
  std::printf(
      "{\"mode\": \"bandwidth\", \"threads\": %u, \"mib\": %u, \"gb_per_s\": %.2f, "
      "\"gb_per_s_best\": %.2f}\n",
      options.threads, options.numbers[0], static_cast<double>(bytes) / percentile(took, 0.5) / 1e9,
      static_cast<double>(bytes) / percentile(took, 0) / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc < 5)
    fail("engine_bench GGUF PACKS [threads=N] [isa=X] decode|prefill|beside|bandwidth ...");
  options.gguf = argv[1];
  options.packs = argv[2];
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("threads=")) {
      options.threads = static_cast<std::uint32_t>(std::stoul(word.substr(8)));
    } else if (word.starts_with("isa=")) {
      options.isa = word.substr(4);
    } else if (word.starts_with("store=")) {
      options.store_mib = std::stoul(word.substr(6));
    } else if (options.mode.empty()) {
      options.mode = word;
    } else {
      options.numbers.push_back(static_cast<std::uint32_t>(std::stoul(word)));
    }
  }
  const std::map<std::string, std::size_t> modes = {
      {"decode", 3}, {"prefill", 2}, {"beside", 3}, {"bandwidth", 1}};
  if (!modes.contains(options.mode)) fail("no mode " + options.mode);
  const std::size_t wants = modes.at(options.mode);
  if (options.numbers.size() != wants) fail("wrong number of arguments for " + options.mode);
  if (options.mode == "decode") {
    decode(options);
  } else if (options.mode == "prefill") {
    prefill(options);
  } else if (options.mode == "beside") {
    beside(options);
  } else {
    bandwidth(options);
  }
}
