#pragma once
// What sampling does to a whole vocabulary of logits, one table per instruction set. All but
// `split` give the same bits on each; `split` answers an estimate with a proven bound.
#include <cstddef>
#include <cstdint>
#include <span>

namespace aorta::engine {

// Logits per maximum: where a block's is below the bar nothing of it is looked at.
inline constexpr std::size_t logit_block = 256;
// Logits per call of `split` and `collect`, so that their indices fit a buffer on the stack.
inline constexpr std::size_t logit_chunk = 4096;

// e^((logit - largest) · inverse_temperature), 0 below min_p.
struct Weighing {
  double largest, inverse_temperature, min_p;
};

// Of the logits below a bar: weights are summed in float, within split_error of the true sum.
struct TailWeighing {
  float largest, bar, floor;  // below largest + floor a weight counts as e^-80
  float log2_high, log2_low;  // log2(e) / temperature, in two floats
};
inline constexpr double split_error = 3e-6;

struct Split {
  std::size_t at_or_above = 0;  // how many indices were written
  double tail = 0;              // weights of the rest
};

struct LogitKernels {
  const char* name;  // scalar | avx2 | avx512
  // maxima[i] is the largest of the i-th logit_block; NaN counts as -inf.
  void (*block_maxima)(std::span<const float> logits, float* maxima);
  // All weights, summed in id order in 8 lanes.
  double (*mass)(std::span<const float> logits, const Weighing& weighing);
  // Each logit's weight.
  void (*weigh)(std::span<const float> logits, const Weighing& weighing, double* weights);
  // Indices of the logits in [low, high), ascending; at most logit_chunk logits.
  std::size_t (*collect)(std::span<const float> logits, float low, float high,
                         std::uint32_t* indices);
  // Indices of the logits >= the bar, ascending, and the others' mass; at most logit_chunk logits.
  Split (*split)(std::span<const float> logits, const TailWeighing& tail, std::uint32_t* indices);
};

const LogitKernels& logit_kernels_scalar();
const LogitKernels& logit_kernels_avx2();
const LogitKernels& logit_kernels_avx512();

// Those that this machine can run, the best first.
std::span<const LogitKernels* const> available_logit_kernels();
inline const LogitKernels& best_logit_kernels() { return *available_logit_kernels().front(); }

}  // namespace aorta::engine
