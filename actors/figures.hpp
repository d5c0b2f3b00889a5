#pragma once
// Prometheus' cumulative histogram, and the figures and labels that services report.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/messages.hpp"

namespace aorta::actors {

mesh::Figure counter(std::string name, std::string labels, double value);
mesh::Figure gauge(std::string name, std::string labels, double value);
// name="value", with what Prometheus' text form wants escaped.
std::string label(std::string_view name, std::string_view value);
std::string labels_of(std::string_view first, std::string_view second);  // either may be empty

class Histogram {
 public:
  // `bounds` ascend; +Inf is not among them.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value, std::uint64_t times = 1);
  void append_to(std::vector<mesh::Figure>& figures, const std::string& name,
                 const std::string& labels) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // of each bound, not cumulated
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace aorta::actors
