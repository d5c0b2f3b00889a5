#pragma once
// What a step takes by what it computes, learned from the steps that were measured. Has no clock:
// whoever runs the steps says what they took.
#include <cstdint>
#include <vector>

namespace aorta::engine {

// What a step computes: positions, which share the reading of the weights, and attention.
struct StepWork {
  std::uint32_t positions = 0;
  // KV positions attended to: those that a sequence's row sees are read once for the row, and
  // multiplied once for each position that it computes.
  double attention = 0;

  // A sequence's positions [first, first + count), count > 0.
  void add(std::uint32_t first, std::uint32_t count) {
    positions += count;
    attention += attention_of(first, count);
  }
  void remove(std::uint32_t first, std::uint32_t count) {  // what was added
    positions -= count;
    attention -= attention_of(first, count);
  }

 private:
  static double attention_of(std::uint32_t first, std::uint32_t count) {
    return (count + 1.0) * (first + (count + 1.0) / 2);
  }
};

class StepCosts {
 public:
  // What more positions than were ever measured are taken to cost: as those that share the reading
  // of a small model's weights, or so many times as much as they are more. The one invites to try
  // what may pay, the other never promises too little.
  enum class Beyond : std::uint8_t { shares_weights, in_proportion };

  explicit StepCosts(std::uint32_t most_positions, Beyond beyond = Beyond::shares_weights);

  // A step took so long. What lasted far longer than known counts as less: the machine did
  // something else meanwhile.
  void measured(const StepWork& work, double us);
  bool known() const { return known_; }  // anything was measured

  // Microseconds, never falling with positions. Until something is known the unit is unknown too,
  // but ratios are those of a small model.
  double of(const StepWork& work) const;
  // What one position more costs, evened over the next few, its attention not counted.
  double of_one_more(std::uint32_t positions) const;
  // What attending to one KV position costs.
  double of_attention() const;

 private:
  struct Bucket {                                 // of steps of about as many positions
    double positions = 0, attention = 0, us = 0;  // running means
    std::uint32_t count = 0;
  };

  std::size_t bucket_of(std::uint32_t positions) const;
  double without_attention(std::uint32_t positions) const;
  double without_attention(const Bucket& bucket) const;
  void learn_attention(const Bucket& bucket, const StepWork& work, double us);
  void draw_curve();

  const Beyond beyond_;
  std::vector<std::uint32_t> ends_;  // the largest number of positions of each bucket
  std::vector<Bucket> buckets_;
  std::vector<double> curve_;  // by positions, without attention
  bool known_ = false;
  // The slope of time over attention within buckets: a regression, with a guess to begin with.
  double guessed_slope_;
  double covariance_ = 0, variance_ = 0;
};

}  // namespace aorta::engine
