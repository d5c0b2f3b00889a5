// How long choosing a token takes, over the logits of a real model stretched to 151,936 ids: one
// JSON object of medians and quartiles in microseconds. Usage: sampler_bench [rounds]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "engine/batch/logprobs.hpp"
#include "engine/batch/sampler.hpp"

namespace aorta::engine {
namespace {

constexpr std::size_t golden_vocabulary = 49152, vocabulary = 151936;

// Row `row` of the golden logits; the ids beyond are further ones of the same row, 4 lower, as a
// larger vocabulary's additional tokens are rarer.
std::vector<float> logits_of(std::size_t row) {
  std::ifstream in(AORTA_SOURCE_DIR "/tests/golden/smollm2/logits_full.f32", std::ios::binary);
  in.seekg(static_cast<std::streamoff>(row * golden_vocabulary * sizeof(float)));
  std::vector<float> logits(vocabulary);
  in.read(reinterpret_cast<char*>(logits.data()), golden_vocabulary * sizeof(float));
  if (!in) std::abort();
  for (std::size_t i = golden_vocabulary; i < vocabulary; ++i) {
    const auto other = static_cast<std::size_t>(philox_uniform(row, 0, i) * golden_vocabulary);
    logits[i] = logits[other] - 4 + static_cast<float>(philox_uniform(row, 1, i) - 0.5);
  }
  return logits;
}

// How many ids hold 0.95 of the mass.
std::size_t nucleus_of(std::vector<float> logits) {
  std::sort(logits.begin(), logits.end(), std::greater<>());
  double mass = 0, sum = 0;
  for (const float logit : logits) mass += std::exp(static_cast<double>(logit) - logits[0]);
  std::size_t size = 0;
  while (sum < 0.95 * mass) sum += std::exp(static_cast<double>(logits[size++]) - logits[0]);
  return size;
}

struct Times {
  double low, median, high;
};

template <class Choose>
Times time_of(std::size_t rounds, Choose choose) {
  std::vector<double> times_us;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    choose(static_cast<std::uint32_t>(round));
    const std::chrono::duration<double, std::micro> spent =
        std::chrono::steady_clock::now() - begin;
    times_us.push_back(spent.count());
  }
  std::sort(times_us.begin(), times_us.end());
  return {times_us[rounds / 4], times_us[rounds / 2], times_us[rounds * 3 / 4]};
}

struct Setting {
  const char* name;
  Sampling sampling;
};

std::vector<Setting> settings() {
  std::vector<Setting> all(6, {"", Sampling{}});
  all[0].name = "greedy";
  all[0].sampling.temperature = 0;
  all[1].name = "top_k 40";
  all[1].sampling.top_k = 40;
  all[2].name = "top_p 0.95";
  all[2].sampling.top_p = 0.95f;
  all[3].name = "top_p 0.95, top_k 40, min_p 0.05";
  all[3].sampling.top_p = 0.95f;
  all[3].sampling.top_k = 40;
  all[3].sampling.min_p = 0.05f;
  all[4].name = "top_p 0.95, penalties";
  all[4].sampling.top_p = 0.95f;
  all[4].sampling.repetition_penalty = 1.1f;
  all[4].sampling.frequency_penalty = 0.2f;
  all[5].name = "all";
  return all;
}

void run(std::size_t rounds) {
  std::vector<TokenId> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back((i * 7919) % 49000);
  volatile TokenId kept = 0;
  SamplerScratch scratch(vocabulary);
  const char* separator = "";
  std::printf("{\"vocabulary\": %zu, \"rounds\": %zu, \"unit\": \"us\", \"results\": [", vocabulary,
              rounds);
  const auto print = [&](const char* isa, std::size_t nucleus, const char* name, const Times& t) {
    std::printf(
        "%s\n  {\"isa\": \"%s\", \"nucleus\": %zu, \"setting\": \"%s\", \"q1\": %.1f, "
        "\"median\": %.1f, \"q3\": %.1f}",
        separator, isa, nucleus, name, t.low, t.median, t.high);
    separator = ",";
  };
  for (const std::size_t row : {0, 1, 5, 7}) {  // flat, usual, flattest, sure of itself
    const std::vector<float> logits = logits_of(row);
    const std::size_t nucleus = nucleus_of(logits);
    for (const LogitKernels* kernels : available_logit_kernels()) {
      for (const Setting& setting : settings()) {
        const auto choose = [&](std::uint32_t round) {
          kept = choose_token(logits, setting.sampling, ids, 500, round, {}, scratch, *kernels);
        };
        print(kernels->name, nucleus, setting.name, time_of(rounds, choose));
      }
    }
    print("best", nucleus, "logprobs of 20", time_of(rounds, [&](std::uint32_t) {
            kept = logprobs_of(logits, 0, 20, scratch).top[0].first;
          }));
  }
  std::printf("]}\n");
}

}  // namespace
}  // namespace aorta::engine

int main(int argc, char** argv) {
  aorta::engine::run(argc > 1 ? std::max(4ul, std::strtoul(argv[1], nullptr, 10)) : 200);
}
