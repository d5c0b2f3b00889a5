#include "engine/batch/sampler.hpp"

#include <algorithm>
#include <vector>

#include "base/philox.hpp"
#include "engine/batch/candidates.hpp"
#include "engine/batch/ranking.hpp"

namespace aorta::engine {
namespace {

bool needs_adjustment(const Sampling& s, std::span<const TokenId> banned) {
  return !banned.empty() || !s.logit_bias.empty() || s.repetition_penalty != 1.0f ||
         s.frequency_penalty != 0.0f || s.presence_penalty != 0.0f;
}

// How often each known id comes.
std::span<const IdCount> counted(std::span<const TokenId> ids, std::size_t vocabulary,
                                 std::vector<IdCount>& counts) {
  counts.assign(SamplerScratch::count_places(std::min(ids.size(), vocabulary)), {});
  for (const TokenId id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary) continue;
    std::size_t place = static_cast<std::uint32_t>(id) * 0x9E3779B1u & (counts.size() - 1);
    while (counts[place].id >= 0 && counts[place].id != id)
      place = (place + 1) & (counts.size() - 1);
    counts[place].id = id;
    ++counts[place].count;
  }
  return counts;
}

void penalise(const Sampling& s, std::span<const TokenId> ids, std::uint32_t prompt_tokens,
              SamplerScratch& scratch) {
  std::vector<float>& logits = scratch.logits;
  if (s.repetition_penalty != 1.0f) {
    std::vector<bool>& seen = scratch.seen;
    seen.assign(logits.size(), false);
    for (const TokenId id : ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= logits.size() || seen[id]) continue;
      seen[id] = true;
      float& logit = logits[id];
      logit = logit > 0 ? logit / s.repetition_penalty : logit * s.repetition_penalty;
    }
  }
  if (s.frequency_penalty != 0.0f || s.presence_penalty != 0.0f) {
    for (const auto& [id, count] :
         counted(ids.subspan(prompt_tokens), logits.size(), scratch.counts)) {
      if (id < 0) continue;
      float& logit = logits[id];
      logit -= s.frequency_penalty * static_cast<float>(count);
      logit -= s.presence_penalty;
    }
  }
}

// Steps 1 to 4 of the header.
std::span<const float> adjusted(std::span<const float> raw, const Sampling& s,
                                std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                                std::span<const TokenId> banned, SamplerScratch& scratch) {
  std::vector<float>& logits = scratch.logits;
  logits.assign(raw.begin(), raw.end());
  const auto known = [&](TokenId id) {
    return id >= 0 && static_cast<std::size_t>(id) < logits.size();
  };
  for (const auto& [id, bias] : s.logit_bias) {
    if (known(id)) logits[id] += bias;
  }
  penalise(s, ids, prompt_tokens, scratch);
  for (const TokenId id : banned) {
    if (known(id)) logits[id] = minus_infinity;
  }
  return logits;
}

// Steps 7 to 9 of the header over the first `top_k`: few, so their mass is summed as they come.
TokenId draw_listed(const LogitScan& scan, const Sampling& s, double uniform) {
  const std::span<const Candidate> top = scan.first(s.top_k);
  std::vector<float>& logits = scan.scratch().found_logits;
  std::vector<double>& running = scan.scratch().weights;
  logits.resize(top.size());
  running.resize(top.size());
  for (std::size_t i = 0; i < top.size(); ++i) logits[i] = top[i].logit;
  scan.kernels().weigh(logits, weighing_of(logits[0], s), running.data());
  double mass = 0;
  std::size_t kept = 0;
  for (; kept < running.size() && running[kept] > 0; ++kept) running[kept] = mass += running[kept];
  running.resize(kept);
  if (s.top_p < 1.0f) {
    const double end = static_cast<double>(s.top_p) * mass;
    kept = std::lower_bound(running.begin(), running.end(), end) - running.begin() + 1;
    running.resize(std::min(kept, running.size()));
  }
  const auto at = std::upper_bound(running.begin(), running.end(), uniform * running.back());
  return top[std::min<std::size_t>(at - running.begin(), running.size() - 1)].id;
}

// Steps 6, 8 and 9 of the header over the whole vocabulary.
TokenId draw(const LogitScan& scan, const Sampling& s, double uniform) {
  Ranking ranking(scan, s);
  // Without top_p the draw's place is known before the walk; with it, only after.
  const bool cut = s.top_p < 1.0f;
  const double share = cut ? static_cast<double>(s.top_p) : uniform;
  double low = share * ranking.mass_low(), high = share * ranking.mass_high();
  const auto reaches_end = [&](double sum) {
    if (cut ? sum >= high : sum > high) return true;
    if (cut ? sum < low : sum <= low) return false;
    low = high = share * ranking.exact_mass();  // too close to tell by bounds
    return cut ? sum >= high : sum > high;
  };
  std::vector<double>& running = scan.scratch().running;
  std::vector<TokenId>& passed = scan.scratch().passed;
  running.clear();
  passed.clear();
  double sum = 0;
  TokenId last = 0;
  while (const Ranking::Ranked* candidate = ranking.next()) {
    if (candidate->weight == 0) break;
    sum += candidate->weight;
    last = candidate->id;
    if (cut) {
      running.push_back(sum);
      passed.push_back(last);
    }
    if (reaches_end(sum)) break;
  }
  // The walk's sum may round below the mass: the last candidate then stands for the difference.
  if (!cut) return last;
  const auto at = std::upper_bound(running.begin(), running.end(), uniform * sum);
  return at == running.end() ? last : passed[at - running.begin()];
}

TokenId first_not_banned(std::size_t vocabulary, std::span<const TokenId> banned) {
  for (std::size_t id = 0; id < vocabulary; ++id) {
    if (std::find(banned.begin(), banned.end(), static_cast<TokenId>(id)) == banned.end()) {
      return static_cast<TokenId>(id);
    }
  }
  return 0;
}

}  // namespace

TokenId choose_token(std::span<const float> raw, const Sampling& sampling,
                     std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                     std::uint32_t generated_index, std::span<const TokenId> banned,
                     SamplerScratch& scratch, const LogitKernels& kernels) {
  AORTA_CHECK(!raw.empty(), "a token is chosen among none");
  AORTA_CHECK(prompt_tokens <= ids.size(), "the prompt is longer than the sequence");
  std::span<const float> logits = raw;
  if (needs_adjustment(sampling, banned)) {
    logits = adjusted(raw, sampling, ids, prompt_tokens, banned, scratch);
  }
  LogitScan scan(logits, kernels, scratch);
  const Candidate best = scan.first();
  if (best.logit == minus_infinity) return first_not_banned(logits.size(), banned);
  if (!(sampling.temperature > 0)) return best.id;
  scan.make_finite();
  const double uniform = philox_uniform(sampling.seed, sampling.choice, generated_index);
  const bool listed = sampling.top_k != 0 && sampling.top_k < logits.size();
  return listed ? draw_listed(scan, sampling, uniform) : draw(scan, sampling, uniform);
}

}  // namespace aorta::engine
