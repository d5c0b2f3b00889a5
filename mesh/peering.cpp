#include "mesh/peering.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mesh/routing_id.hpp"

namespace aorta::mesh {
namespace {

constexpr std::string_view tool_prefix = "tool-";

bool speaks(std::uint32_t protocol) {
  return protocol == protocol_version || (protocol > 0 && protocol + 1 == protocol_version);
}

std::string cannot_work_together(const PeerId& other, std::uint32_t protocol) {
  return fmt::format(
      "{} speaks mesh protocol {}, this service speaks {} and the one before: run versions of "
      "aorta that are at most one protocol apart",
      other.name, protocol, protocol_version);
}

Peering::Outcome leave(std::string reason, Outbox& out) {
  out.leave = Outbox::Leave{exit_superseded, std::move(reason)};
  return Peering::Outcome::leave;
}

std::string superseded_sentence(const PeerId& self, const PeerId& by) {
  return fmt::format("superseded: a newer {} (incarnation {}) has taken the place of this one ({})",
                     self.name, by.incarnation.value, self.incarnation.value);
}

}  // namespace

Peering::Peering(Hello self, PeeringOptions options)
    : self_(std::move(self)), options_(std::move(options)) {}

void Peering::say_hello(const std::string& name, Dialled& dialled, TimePoint now, Outbox& out) {
  out.send({name, {}}, self_);
  dialled.answered = false;
  dialled.next_hello = now + options_.hello_every;
}

void Peering::dial(const std::string& name, const std::string& address, TimePoint now,
                   Outbox& out) {
  auto [it, added] = dialled_.try_emplace(name);
  if (!added && it->second.address == address) return;
  it->second.address = address;
  std::erase(out.hangups, name);
  out.dials.push_back({name, address});
  say_hello(name, it->second, now, out);
}

void Peering::hang_up(const std::string& name, Outbox& out) {
  if (dialled_.erase(name) == 0) return;
  std::erase_if(out.dials, [&](const Outbox::Dial& dial) { return dial.name == name; });
  out.hangups.push_back(name);
  auto peer = peers_.find(name);
  if (peer == peers_.end()) return;
  peer->second.dialled = false;
  if (!peer->second.introduced) peers_.erase(peer);
}

// Under keys nobody passes for what its key does not prove. Names beginning with "tool-" are for
// tools, and theirs alone, so that no tool can take a service's name.
bool Peering::is_forged(const Sender& from, const Message& message, Outbox& out) {
  if (!from.role) return false;
  const auto known = peers_.find(from.name);
  const bool taken =
      known != peers_.end() && known->second.introduced && known->second.kind != *from.role;
  std::string what;
  if (const auto* hello = std::get_if<Hello>(&message)) {
    const bool named_as_tool = from.name.starts_with(tool_prefix);
    if (hello->kind != *from.role) {
      what = fmt::format("gives itself out for {}", name_of(hello->kind));
    } else if (taken || named_as_tool != (hello->kind == ServiceKind::tool)) {
      what = fmt::format("takes the name '{}', which is not for it", from.name);
    }
  } else if (taken) {
    what = fmt::format("speaks as '{}', which is no {}", from.name, name_of(*from.role));
  }
  if (what.empty()) return false;
  out.forgeries.push_back(fmt::format("somebody with the key of {} {}", name_of(*from.role), what));
  if (std::holds_alternative<Hello>(message)) {
    out.send(from, Refused{fmt::format("the key of {} does not allow this", name_of(*from.role))});
  }
  return true;
}

Peering::Outcome Peering::handle(const Sender& from, const Message& message, TimePoint now,
                                 Outbox& out) {
  if (is_forged(from, message, out)) return Outcome::stale;
  if (auto* hello = std::get_if<Hello>(&message)) return on_hello(from, *hello, now, out);
  if (auto* welcome = std::get_if<Welcome>(&message)) return on_welcome(from, *welcome, now, out);
  if (auto* superseded = std::get_if<Superseded>(&message)) {
    const bool newer_self = superseded->by.name == self_.self.name &&
                            superseded->by.incarnation > self_.self.incarnation;
    if (!newer_self) return Outcome::consumed;
    return leave(superseded_sentence(self_.self, superseded->by), out);
  }
  if (auto* refused = std::get_if<Refused>(&message)) {
    return leave(fmt::format("{} refused this service: {}", from.name, refused->reason), out);
  }
  if (std::holds_alternative<Who>(message)) {
    auto it = dialled_.find(from.name);
    // Once: a binder that came back asks after each of the messages that waited for it.
    if (it != dialled_.end() && it->second.answered) say_hello(from.name, it->second, now, out);
    return Outcome::consumed;
  }
  return on_other(from, now, out);
}

Peering::Outcome Peering::on_hello(const PeerId& from, const Hello& hello, TimePoint now,
                                   Outbox& out) {
  if (from.incarnation.value == 0) return Outcome::stale;  // a binder we dialled answers Welcome
  if (hello.self != from) {
    out.send(from, Refused{fmt::format("hello of {}#{} came from routing id {}#{}: both must be "
                                       "the same",
                                       hello.self.name, hello.self.incarnation.value, from.name,
                                       from.incarnation.value)});
    return Outcome::stale;
  }
  if (!speaks(hello.protocol)) {
    out.send(from, Refused{cannot_work_together(from, hello.protocol)});
    return Outcome::stale;
  }
  if (from.name == self_.self.name) {  // a second life of ourselves has found us
    if (from.incarnation > self_.self.incarnation) {
      return leave(superseded_sentence(self_.self, from), out);
    }
    out.send(from, Superseded{self_.self});
    return Outcome::stale;
  }

  auto known = peers_.find(from.name);
  Outcome outcome = Outcome::joined;
  if (known != peers_.end()) {
    const PeerId& other = known->second.self;
    if (other.incarnation > from.incarnation) {
      out.send(from, Superseded{other});
      return Outcome::stale;
    }
    if (other.incarnation < from.incarnation) {
      out.send(other, Superseded{from});
      outcome = Outcome::restarted;
    } else if (known->second.introduced) {
      outcome = Outcome::consumed;
    }  // else we had only dialled it: now we know it
  }
  peers_[from.name] = Peer{from, hello.kind, hello, dialled_.contains(from.name), true, now};
  out.send(from, Welcome{protocol_version, self_.self});
  return outcome;
}

Peering::Outcome Peering::on_welcome(const PeerId& from, const Welcome& welcome, TimePoint now,
                                     Outbox& out) {
  auto it = dialled_.find(from.name);
  // Another service may have taken over the address: go on calling for the one we dialled.
  if (it == dialled_.end() || welcome.self.name != from.name) return Outcome::stale;
  if (!speaks(welcome.protocol)) {
    return leave(cannot_work_together(welcome.self, welcome.protocol), out);
  }
  auto [known, added] = peers_.try_emplace(from.name);
  Peer& peer = known->second;
  if (!added && peer.self.incarnation > welcome.self.incarnation) return Outcome::stale;
  it->second.answered = true;
  const bool same = !added && peer.self == welcome.self;
  if (same) {
    peer.dialled = true;
    peer.heard = now;
    return Outcome::consumed;
  }
  peer = Peer{.self = welcome.self, .kind = peer.kind, .dialled = true, .heard = now};
  return added ? Outcome::joined : Outcome::restarted;
}

Peering::Outcome Peering::on_other(const PeerId& from, TimePoint now, Outbox& out) {
  auto known = peers_.find(from.name);
  const bool from_binder = from.incarnation.value == 0;
  // Also one whom we only dialled ourselves: we have restarted, and it does not know that we have
  // forgotten its hello.
  if (known == peers_.end() ||
      (!from_binder &&
       (!known->second.introduced || known->second.self.incarnation < from.incarnation))) {
    if (!from_binder) out.send(from, Who{});  // a binder is being greeted anyway
    return Outcome::stale;
  }
  Peer& peer = known->second;
  if (from_binder && !peer.dialled) return Outcome::stale;  // sent before we hung up
  if (!from_binder && peer.self.incarnation > from.incarnation) {
    out.send(from, Superseded{peer.self});
    return Outcome::stale;
  }
  peer.heard = now;
  return Outcome::none;
}

const Peering::Peer* Peering::find(const std::string& name) const {
  auto it = peers_.find(name);
  return it == peers_.end() ? nullptr : &it->second;
}

void Peering::forget(const std::string& name, TimePoint now) {
  peers_.erase(name);
  if (auto it = dialled_.find(name); it != dialled_.end() && it->second.answered) {
    it->second.answered = false;
    it->second.next_hello = now;
  }
}

void Peering::tick(TimePoint now, Outbox& out) {
  for (auto& [name, dialled] : dialled_) {
    if (!dialled.answered && dialled.next_hello <= now) say_hello(name, dialled, now, out);
  }
  std::erase_if(peers_, [&](const auto& entry) {
    const Peer& peer = entry.second;
    return peer.kind == ServiceKind::tool && now - peer.heard >= options_.forget_tools_after;
  });
}

TimePoint Peering::next_tick() const {
  TimePoint next = never;
  for (const auto& [name, dialled] : dialled_) {
    if (!dialled.answered) next = std::min(next, dialled.next_hello);
  }
  for (const auto& [name, peer] : peers_) {
    if (peer.kind == ServiceKind::tool) {
      next = std::min(next, peer.heard + options_.forget_tools_after);
    }
  }
  return next;
}

}  // namespace aorta::mesh
