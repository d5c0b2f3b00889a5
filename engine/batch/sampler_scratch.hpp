#pragma once
// The memory in which tokens are chosen: whoever chooses keeps it, so that no token takes any.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/batch/logit_kernels.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

struct Candidate {
  float logit;
  TokenId id;
};

struct RankedCandidate {
  double weight;
  float logit;
  TokenId id;
};

struct IdCount {
  TokenId id = -1;
  std::uint32_t count = 0;
};

// Of one thread at a time, and not beside another's in a cache line. Nothing is kept between
// tokens.
struct alignas(64) SamplerScratch {
  SamplerScratch() = default;  // grows as it is used
  // Takes at once what any sampling over so many logits needs. Most of it is never touched, and
  // so is only addresses.
  explicit SamplerScratch(std::size_t vocabulary) {
    logits.reserve(vocabulary);
    maxima.reserve(vocabulary / logit_block + 1);
    sorted_maxima.reserve(vocabulary / logit_block + 1);
    seen.reserve(vocabulary);
    counts.reserve(count_places(vocabulary));
    found.reserve(vocabulary);
    found_logits.reserve(vocabulary);
    weights.reserve(vocabulary);
    band.reserve(vocabulary);
    bounds.reserve(std::bit_ceil(vocabulary));
    running.reserve(vocabulary);
    passed.reserve(vocabulary);
  }
  // Of a table that counts so many ids and is never more than half full.
  static std::size_t count_places(std::size_t ids) { return std::bit_ceil(2 * ids + 1); }

  std::vector<float> logits;                 // [vocabulary] adjusted, or made finite
  std::vector<float> maxima, sorted_maxima;  // of blocks of logits
  std::vector<bool> seen;                    // by id
  std::vector<IdCount> counts;               // open-addressed; empty places have id -1
  std::vector<Candidate> found;
  std::vector<float> found_logits;
  std::vector<double> weights;  // of what was found
  std::vector<RankedCandidate> band;
  std::vector<std::size_t> bounds;
  std::vector<double> running;  // weights, summed up
  std::vector<TokenId> passed;
};

}  // namespace aorta::engine
