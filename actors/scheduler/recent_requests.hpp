#pragma once
// What is remembered of requests that were closed: another life of their admission, or another
// admission, may carry them on.
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "base/ids.hpp"

namespace aorta::scheduler {

class RecentRequests {
 public:
  struct Closed {
    std::string admission;  // the name of its last owner
    std::string tenant;
    Epoch epoch;                // the last
    std::uint32_t charged = 0;  // generated tokens that the tenant has paid for
    bool prompt_charged = false;
    std::uint64_t number = 0;   // in the order of closing
  };
  // The oldest beyond `most` are forgotten.
  explicit RecentRequests(std::size_t most) : most_(most) {}

  void note(RequestId request, Closed closed);
  const Closed* find(RequestId request) const;
  void forget(RequestId request);
  const std::unordered_map<RequestId, Closed>& all() const { return closed_; }

 private:
  std::size_t most_;
  std::uint64_t next_ = 0;
  std::unordered_map<RequestId, Closed> closed_;
  std::map<std::uint64_t, RequestId> order_;
};

}  // namespace aorta::scheduler
