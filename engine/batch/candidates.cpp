#include "engine/batch/candidates.hpp"

#include <algorithm>
#include <functional>

namespace aorta::engine {

LogitScan::LogitScan(std::span<const float> logits, const LogitKernels& kernels,
                     SamplerScratch& scratch)
    : logits_(logits), kernels_(&kernels), scratch_(scratch), maxima_(scratch.maxima) {
  maxima_.resize((logits.size() + logit_block - 1) / logit_block);
  kernels_->block_maxima(logits_, maxima_.data());
}

Candidate LogitScan::first() const {
  const auto largest = std::max_element(maxima_.begin(), maxima_.end());
  const auto from = logits_.begin() + (largest - maxima_.begin()) * logit_block;
  const auto at = std::find(from, logits_.end(), *largest);  // not found: all are NaN
  return {*largest, at == logits_.end() ? 0 : static_cast<TokenId>(at - logits_.begin())};
}

// The k-th largest of the blocks' maxima is a bar that k logits reach. The buffer is cut back to k
// whenever it reaches 2k, and the k-th so far is a bar that few of the rest pass.
std::span<const Candidate> LogitScan::first(std::size_t k) const {
  float bar = std::numeric_limits<float>::lowest();
  if (k <= maxima_.size()) {
    std::vector<float>& maxima = scratch_.sorted_maxima;
    maxima.assign(maxima_.begin(), maxima_.end());
    std::nth_element(maxima.begin(), maxima.begin() + (k - 1), maxima.end(), std::greater<>());
    bar = std::max(bar, maxima[k - 1]);
  }
  std::vector<Candidate>& kept = scratch_.found;
  kept.clear();
  const auto cut = [&] {
    std::nth_element(kept.begin(), kept.begin() + (k - 1), kept.end(),
                     ranks_before<Candidate, Candidate>);
    kept.resize(k);
    bar = kept.back().logit;
  };
  std::uint32_t indices[logit_block];
  for (std::size_t block = 0; block < maxima_.size(); ++block) {
    if (!(maxima_[block] >= bar)) continue;
    const std::size_t begin = block * logit_block;
    const auto logits = logits_.subspan(begin, std::min(logit_block, logits_.size() - begin));
    const std::size_t count =
        kernels_->collect(logits, bar, std::numeric_limits<float>::infinity(), indices);
    for (std::size_t i = 0; i < count; ++i) {
      kept.push_back({logits[indices[i]], static_cast<TokenId>(begin + indices[i])});
    }
    if (kept.size() >= 2 * k) cut();
  }
  if (kept.size() > k) cut();
  std::sort(kept.begin(), kept.end(), ranks_before<Candidate, Candidate>);
  return kept;
}

void LogitScan::collect(float low, float high, std::vector<Candidate>& out) const {
  std::uint32_t indices[logit_block];
  for (std::size_t block = 0; block < maxima_.size(); ++block) {
    if (!(maxima_[block] >= low)) continue;
    const std::size_t begin = block * logit_block;
    const auto logits = logits_.subspan(begin, std::min(logit_block, logits_.size() - begin));
    const std::size_t count = kernels_->collect(logits, low, high, indices);
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back({logits[indices[i]], static_cast<TokenId>(begin + indices[i])});
    }
  }
}

double LogitScan::split(const TailWeighing& tail, std::vector<Candidate>& out) const {
  std::uint32_t indices[logit_chunk];
  double mass = 0;
  for (std::size_t begin = 0; begin < logits_.size(); begin += logit_chunk) {
    const auto logits = logits_.subspan(begin, std::min(logit_chunk, logits_.size() - begin));
    const Split found = kernels_->split(logits, tail, indices);
    for (std::size_t i = 0; i < found.at_or_above; ++i) {
      out.push_back({logits[indices[i]], static_cast<TokenId>(begin + indices[i])});
    }
    mass += found.tail;
  }
  return mass;
}

void LogitScan::make_finite() {
  const float first_logit = first().logit;
  constexpr float largest = std::numeric_limits<float>::max();
  if (first_logit <= largest) return;
  std::vector<float>& finite = scratch_.logits;
  if (logits_.data() != finite.data()) finite.assign(logits_.begin(), logits_.end());
  std::replace(finite.begin(), finite.end(), first_logit, largest);
  logits_ = finite;
  kernels_->block_maxima(logits_, maxima_.data());
}

}  // namespace aorta::engine
