#include "actors/scheduler/recent_requests.hpp"

#include <utility>

namespace aorta::scheduler {

void RecentRequests::note(RequestId request, Closed closed) {
  forget(request);
  closed.number = next_++;
  order_[closed.number] = request;
  closed_[request] = std::move(closed);
  if (closed_.size() > most_) forget(order_.begin()->second);
}

const RecentRequests::Closed* RecentRequests::find(RequestId request) const {
  const auto it = closed_.find(request);
  return it == closed_.end() ? nullptr : &it->second;
}

void RecentRequests::forget(RequestId request) {
  const auto it = closed_.find(request);
  if (it == closed_.end()) return;
  order_.erase(it->second.number);
  closed_.erase(it);
}

}  // namespace aorta::scheduler
