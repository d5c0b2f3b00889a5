#pragma once
// All requests an admission knows: by id, by idempotency key, by alarm, those at work, and the
// ended ones in the order in which they are forgotten when they are too many.
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/admission/request.hpp"

namespace aorta::admission {

class RequestTable {
 public:
  RequestTable(std::size_t retain_requests, std::size_t retain_bytes)
      : retain_requests_(retain_requests), retain_bytes_(retain_bytes) {}

  Request& add(std::unique_ptr<Request> request);
  Request* find(RequestId id);
  const Request* find(RequestId id) const;
  Request* find_key(const std::string& tenant, const std::string& idempotency_key);
  // All choices of the request of which this is one, the first one first.
  std::vector<Request*> choices_of(const Request& choice) const;
  void erase(RequestId id);
  const std::map<RequestId, std::unique_ptr<Request>>& all() const { return requests_; }

  // Those queued or placed: what the scheduler is told of.
  void set_active(Request& request, bool active);
  const std::map<RequestId, Request*>& active() const { return active_; }

  void set_alarm(Request& request, TimePoint at);
  TimePoint next_alarm() const { return alarms_.empty() ? never : alarms_.begin()->first; }
  Request* take_alarm(TimePoint now);  // one that is due; its alarm is off then

  void retain(Request& ended);
  void release(const Request& ended);  // it goes on
  // The one to forget first while the ended are more than the limits allow.
  Request* surplus();
  std::size_t retained() const { return retained_bytes_by_id_.size(); }
  std::size_t retained_bytes() const { return retained_bytes_; }
  std::size_t keys() const { return keys_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, idempotency key
  std::size_t retain_requests_, retain_bytes_;
  std::map<RequestId, std::unique_ptr<Request>> requests_;
  std::map<Key, RequestId> keys_;
  std::map<RequestId, Request*> active_;
  std::set<std::pair<TimePoint, RequestId>> alarms_;
  std::deque<RequestId> retained_order_;  // may name some that are forgotten already
  std::map<RequestId, std::size_t> retained_bytes_by_id_;
  std::size_t retained_bytes_ = 0;
};

}  // namespace aorta::admission
