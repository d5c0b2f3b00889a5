// The table for every x86-64. `split` sums exactly here.
#include <algorithm>
#include <limits>

#include "engine/batch/logit_weights.hpp"

namespace aorta::engine {
namespace {

using TwoFloats = float __attribute__((vector_size(8)));
using Vectors = WeightVectors<TwoDoubles, TwoWords, TwoFloats>;

void block_maxima(std::span<const float> logits, float* maxima) {
  constexpr std::size_t lanes = 8;  // a constant inner trip count, so that it vectorises
  for (std::size_t begin = 0; begin < logits.size(); begin += logit_block) {
    const auto block = logits.subspan(begin, std::min(logit_block, logits.size() - begin));
    float best[lanes];
    std::fill_n(best, lanes, -std::numeric_limits<float>::infinity());
    std::size_t i = 0;
    for (; i + lanes <= block.size(); i += lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        best[lane] = block[i + lane] > best[lane] ? block[i + lane] : best[lane];
      }
    }
    for (; i < block.size(); ++i) best[0] = block[i] > best[0] ? block[i] : best[0];
    *maxima++ = *std::max_element(best, best + lanes);
  }
}

std::size_t collect(std::span<const float> logits, float low, float high, std::uint32_t* indices) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    indices[count] = static_cast<std::uint32_t>(i);
    count += logits[i] >= low && logits[i] < high;
  }
  return count;
}

Split split(std::span<const float> logits, const TailWeighing& tail, std::uint32_t* indices) {
  const double inverse_temperature =
      (static_cast<double>(tail.log2_high) + tail.log2_low) * 0.6931471805599453;
  const Weighing weighing{tail.largest, inverse_temperature, 0};
  Split found;
  found.at_or_above = collect(logits, tail.bar, std::numeric_limits<float>::infinity(), indices);
  double above = 0;
  for (std::size_t i = 0; i < found.at_or_above; ++i) {
    above += exp_nonpositive((logits[indices[i]] - weighing.largest) * inverse_temperature);
  }
  found.tail = Vectors::mass(logits, weighing) - above;
  return found;
}

}  // namespace

const LogitKernels& logit_kernels_scalar() {
  static constexpr LogitKernels table{"scalar",           block_maxima, Vectors::mass,
                                      Vectors::weigh_all, collect,      split};
  return table;
}

}  // namespace aorta::engine
