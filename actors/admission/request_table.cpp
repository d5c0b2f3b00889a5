#include "actors/admission/request_table.hpp"

#include "base/result.hpp"

namespace aorta::admission {

Request& RequestTable::add(std::unique_ptr<Request> request) {
  Request& added = *request;
  AORTA_CHECK(!requests_.contains(added.id), "a request id is used once");
  if (!added.idempotency_key.empty()) keys_[{added.tenant, added.idempotency_key}] = added.id;
  requests_.emplace(added.id, std::move(request));
  return added;
}

Request* RequestTable::find(RequestId id) {
  auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : it->second.get();
}

const Request* RequestTable::find(RequestId id) const {
  auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : it->second.get();
}

Request* RequestTable::find_key(const std::string& tenant, const std::string& idempotency_key) {
  if (idempotency_key.empty()) return nullptr;
  auto it = keys_.find({tenant, idempotency_key});
  return it == keys_.end() ? nullptr : find(it->second);
}

std::vector<Request*> RequestTable::choices_of(const Request& choice) const {
  std::vector<Request*> choices(choice.choices);
  for (std::uint32_t i = 0; i < choice.choices; ++i) {
    choices[i] = requests_.at(choice_id(choice.public_id(), i)).get();
  }
  return choices;
}

void RequestTable::erase(RequestId id) {
  auto it = requests_.find(id);
  if (it == requests_.end()) return;
  Request& request = *it->second;
  set_alarm(request, never);
  set_active(request, false);
  if (!request.idempotency_key.empty()) keys_.erase({request.tenant, request.idempotency_key});
  release(request);
  requests_.erase(it);
}

void RequestTable::release(const Request& ended) {
  if (auto bytes = retained_bytes_by_id_.find(ended.id); bytes != retained_bytes_by_id_.end()) {
    retained_bytes_ -= bytes->second;
    retained_bytes_by_id_.erase(bytes);
  }
  while (!retained_order_.empty() && !retained_bytes_by_id_.contains(retained_order_.front())) {
    retained_order_.pop_front();
  }
}

void RequestTable::set_active(Request& request, bool active) {
  if (active) {
    active_[request.id] = &request;
  } else {
    active_.erase(request.id);
  }
}

void RequestTable::set_alarm(Request& request, TimePoint at) {
  if (request.alarm == at) return;
  if (request.alarm != never) alarms_.erase({request.alarm, request.id});
  request.alarm = at;
  if (at != never) alarms_.emplace(at, request.id);
}

Request* RequestTable::take_alarm(TimePoint now) {
  if (alarms_.empty() || alarms_.begin()->first > now) return nullptr;
  Request* request = find(alarms_.begin()->second);
  set_alarm(*request, never);
  return request;
}

void RequestTable::retain(Request& ended) {
  const std::size_t bytes = sizeof(Request) + ended.ledger.size_bytes();
  retained_order_.push_back(ended.id);
  retained_bytes_by_id_[ended.id] = bytes;
  retained_bytes_ += bytes;
}

Request* RequestTable::surplus() {
  if (retained() <= retain_requests_ && retained_bytes_ <= retain_bytes_) return nullptr;
  return find(retained_order_.front());
}

}  // namespace aorta::admission
