#pragma once
// What a step takes by how many positions it computes, learned from the steps that were measured.
// Has no clock: whoever runs the steps says what they took.
#include <cstdint>
#include <vector>

namespace aorta::engine {

class StepCosts {
 public:
  explicit StepCosts(std::uint32_t most_positions);

  // A step of so many positions took so long. What lasted far longer than known counts as less: the
  // machine did something else meanwhile.
  void measured(std::uint32_t positions, double us);
  bool known() const { return known_; }  // anything was measured

  // Microseconds, never falling with positions. Until something is known the unit is unknown too,
  // but ratios are those of a small model that reads its weights once a step.
  double of(std::uint32_t positions) const;
  // What one position more costs, evened over the next few.
  double of_one_more(std::uint32_t positions) const;
  // The most positions that take no longer than `us`, none of them beyond most_positions.
  std::uint32_t most_within(double us) const;

 private:
  struct Bucket {                  // of steps of about as many positions
    double positions = 0, us = 0;  // running means
    std::uint32_t count = 0;
  };

  std::size_t bucket_of(std::uint32_t positions) const;
  void draw_curve();

  std::vector<std::uint32_t> ends_;  // the largest number of positions of each bucket
  std::vector<Bucket> buckets_;
  std::vector<double> curve_;  // by positions
  bool known_ = false;
};

}  // namespace aorta::engine
