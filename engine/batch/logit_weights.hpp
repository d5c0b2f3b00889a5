#pragma once
// The exact weights, for vectors of any width: element by element the operations of exp.hpp, so the
// bits do not depend on the width. Each instruction set instantiates its own vector types.
#include <cstring>

#include "engine/batch/exp.hpp"
#include "engine/batch/logit_kernels.hpp"

namespace aorta::engine {

inline constexpr std::size_t mass_lanes = 8;

// Real: doubles; Word: as many std::uint64_t; Single: as many floats.
template <class Real, class Word, class Single>
struct WeightVectors {
  static constexpr std::size_t width = sizeof(Real) / sizeof(double);

  static Real weigh(const float* logits, const Weighing& w) {
    Single single;
    std::memcpy(&single, logits, sizeof single);
    const Real logit = __builtin_convertvector(single, Real);
    const Real weight = exp_nonpositive_of<Real, Word>((logit - w.largest) * w.inverse_temperature);
    return weight >= w.min_p ? weight : Real{};
  }

  static void weigh_all(std::span<const float> logits, const Weighing& w, double* weights) {
    std::size_t i = 0;
    for (; i + width <= logits.size(); i += width) {
      const Real weight = weigh(&logits[i], w);
      std::memcpy(weights + i, &weight, sizeof weight);
    }
    if (i == logits.size()) return;
    const Real weight = weigh_rest(logits.subspan(i), w);
    std::memcpy(weights + i, &weight, (logits.size() - i) * sizeof(double));
  }

  static double mass(std::span<const float> logits, const Weighing& w) {
    constexpr std::size_t vectors = mass_lanes / width;
    Real sum[vectors] = {};
    std::size_t i = 0;
    for (; i + mass_lanes <= logits.size(); i += mass_lanes) {
      for (std::size_t v = 0; v < vectors; ++v) sum[v] += weigh(&logits[i + v * width], w);
    }
    for (std::size_t v = 0; i < logits.size(); ++v, i += width) {
      const bool whole = i + width <= logits.size();
      sum[v] += whole ? weigh(&logits[i], w) : weigh_rest(logits.subspan(i), w);
    }
    double lane[mass_lanes];
    std::memcpy(lane, sum, sizeof lane);
    return ((lane[0] + lane[2]) + (lane[4] + lane[6])) +
           ((lane[1] + lane[3]) + (lane[5] + lane[7]));
  }

 private:
  // Fewer than a vector: what is missing weighs nothing.
  static Real weigh_rest(std::span<const float> rest, const Weighing& w) {
    float padded[width];
    for (std::size_t lane = 0; lane < width; ++lane) {
      padded[lane] = lane < rest.size() ? rest[lane] : -__builtin_inff();
    }
    return weigh(padded, w);
  }
};

}  // namespace aorta::engine
