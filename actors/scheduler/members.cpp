#include "actors/scheduler/members.hpp"

#include <utility>

namespace aorta::scheduler {

using mesh::ServiceState;

// An incarnation's upper bits are ms since 1970, and membership changes less than once in a
// millisecond over a life: so a new scheduler's versions are beyond its predecessor's.
Members::Members(const mesh::Hello& self)
    : self_(self.self.name), version_(self.self.incarnation.value >> 16) {
  mesh::Member member{self.kind, self.self, ServiceState::ready, self.pid, self.host, self.address};
  table_[self_].member = std::move(member);
}

std::optional<mesh::PeerId> Members::joined(const mesh::Hello& hello, TimePoint now) {
  Entry& entry = table_[hello.self.name];
  entry.heard = now;
  entry.cut.reset();
  mesh::Member& member = entry.member;
  const bool dead = member.state == ServiceState::dead;
  if (member.self == hello.self && !dead && member.address == hello.address) return std::nullopt;
  std::optional<mesh::PeerId> earlier;
  if (!dead && !member.self.name.empty() && member.self != hello.self) earlier = member.self;
  member = {hello.kind, hello.self, ServiceState::starting, hello.pid, hello.host, hello.address};
  changed_ = true;
  return earlier;
}

void Members::heard(const std::string& name, TimePoint now) {
  if (!alive(name)) return;
  table_.at(name).heard = now;
  table_.at(name).cut.reset();
}

void Members::cut(const std::string& name, TimePoint now) {
  if (alive(name) && !table_.at(name).cut) table_.at(name).cut = now;
}

void Members::set_state(const std::string& name, ServiceState state) {
  if (!alive(name) || state == ServiceState::dead) return;  // nobody says that of itself
  ServiceState& known = table_.at(name).member.state;
  changed_ = changed_ || known != state;
  known = state;
}

void Members::describe(const std::string& name, const std::string& model,
                       const std::string& numerics_id) {
  if (!alive(name)) return;
  mesh::Member& member = table_.at(name).member;
  changed_ = changed_ || member.model != model || member.numerics_id != numerics_id;
  member.model = model;
  member.numerics_id = numerics_id;
}

void Members::died(const std::string& name, TimePoint now) {
  if (!alive(name)) return;
  table_.at(name).member.state = ServiceState::dead;
  table_.at(name).heard = now;
  changed_ = true;
}

void Members::left(const std::string& name) { changed_ = table_.erase(name) > 0 || changed_; }

std::vector<mesh::PeerId> Members::silent(Duration limit, Duration cut_limit,
                                          TimePoint now) const {
  std::vector<mesh::PeerId> silent;
  for (const auto& [name, entry] : table_) {
    if (name == self_ || !alive(name)) continue;
    const bool cut = entry.cut && now - *entry.cut >= cut_limit;
    if (cut || now - entry.heard >= limit) silent.push_back(entry.member.self);
  }
  return silent;
}

void Members::forget_dead(Duration after, TimePoint now) {
  const std::size_t forgotten = std::erase_if(table_, [&](const auto& item) {
    const Entry& entry = item.second;
    return entry.member.state == ServiceState::dead && now - entry.heard >= after;
  });
  changed_ = changed_ || forgotten > 0;
}

void Members::forgive(Duration gap) {
  for (auto& [name, entry] : table_) {
    entry.heard += gap;
    if (entry.cut) *entry.cut += gap;
  }
}

const mesh::Member* Members::find(const std::string& name) const {
  auto it = table_.find(name);
  return it == table_.end() ? nullptr : &it->second.member;
}

bool Members::alive(const std::string& name) const {
  const mesh::Member* member = find(name);
  return member != nullptr && member->state != ServiceState::dead;
}

std::vector<mesh::PeerId> Members::others() const {
  std::vector<mesh::PeerId> others;
  for (const auto& [name, entry] : table_) {
    if (name != self_ && alive(name)) others.push_back(entry.member.self);
  }
  return others;
}

std::vector<mesh::PeerId> Members::others(mesh::ServiceKind kind) const {
  std::vector<mesh::PeerId> others = this->others();
  std::erase_if(others, [&](const auto& id) { return table_.at(id.name).member.kind != kind; });
  return others;
}

mesh::Membership Members::message() const {
  mesh::Membership message{version_, {}};
  for (const auto& [name, entry] : table_) message.members.push_back(entry.member);
  return message;
}

bool Members::take_changed() {
  if (changed_) ++version_;
  return std::exchange(changed_, false);
}

}  // namespace aorta::scheduler
