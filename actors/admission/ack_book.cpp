#include "actors/admission/ack_book.hpp"

#include <algorithm>

namespace aorta::admission {

AckBook::AckBook(Duration at_least_apart, Duration at_most_apart)
    : at_least_apart_(at_least_apart), at_most_apart_(at_most_apart) {}

void AckBook::hold(const mesh::PeerId& executor, RequestId request, bool connected, TimePoint now) {
  auto [it, added] = entries_.try_emplace(executor);
  if (added) it->second.last = now;
  it->second.connected = connected;
  it->second.held.insert(request);
}

void AckBook::release(const mesh::PeerId& executor, RequestId request) {
  if (auto it = entries_.find(executor); it != entries_.end()) it->second.held.erase(request);
}

void AckBook::complete(const mesh::PeerId& executor, const mesh::AckItem& ending) {
  auto it = entries_.find(executor);
  if (it == entries_.end()) return;
  it->second.held.erase(ending.key.request);
  it->second.endings.push_back(ending);
  it->second.news = true;
}

void AckBook::news(const mesh::PeerId& executor) {
  if (auto it = entries_.find(executor); it != entries_.end()) it->second.news = true;
}

void AckBook::set_connected(const mesh::PeerId& executor, bool connected) {
  auto it = entries_.find(executor);
  if (it == entries_.end()) return;
  it->second.connected = connected;
  if (connected) {
    it->second.news = true;  // what was sent before may be lost
  } else {
    it->second.endings.clear();  // should it come back and send again, it is told to stop
  }
}

const AckBook::Entry* AckBook::find(const mesh::PeerId& executor) const {
  auto it = entries_.find(executor);
  return it == entries_.end() ? nullptr : &it->second;
}

std::vector<RequestId> AckBook::drop(const mesh::PeerId& executor) {
  auto it = entries_.find(executor);
  if (it == entries_.end()) return {};
  std::vector<RequestId> held(it->second.held.begin(), it->second.held.end());
  entries_.erase(it);
  return held;
}

std::vector<mesh::PeerId> AckBook::lives_of(const std::string& name) const {
  std::vector<mesh::PeerId> lives;
  for (auto it = entries_.lower_bound({name, {}}); it != entries_.end(); ++it) {
    if (it->first.name != name) break;
    lives.push_back(it->first);
  }
  return lives;
}

TimePoint AckBook::due_at(const Entry& entry) const {
  const bool idle = entry.held.empty() && entry.endings.empty();
  if (entry.connected && (entry.news || idle)) return entry.last + at_least_apart_;
  if (idle) return entry.last;  // nothing to say and nobody to say it to: forgotten at once
  return entry.connected ? entry.last + at_most_apart_ : never;
}

std::vector<mesh::PeerId> AckBook::due(TimePoint now) {
  std::vector<mesh::PeerId> executors;
  for (auto it = entries_.begin(); it != entries_.end();) {
    const Entry& entry = it->second;
    const bool is_due = due_at(entry) <= now;
    if (is_due && entry.held.empty() && entry.endings.empty()) {
      it = entries_.erase(it);
      continue;
    }
    if (is_due) executors.push_back(it->first);
    ++it;
  }
  return executors;
}

void AckBook::sent(const mesh::PeerId& executor, TimePoint now) {
  auto it = entries_.find(executor);
  if (it == entries_.end()) return;
  it->second.endings.clear();
  it->second.news = false;
  it->second.last = now;
}

TimePoint AckBook::next_due() const {
  TimePoint next = never;
  for (const auto& [executor, entry] : entries_) next = std::min(next, due_at(entry));
  return next;
}

}  // namespace aorta::admission
