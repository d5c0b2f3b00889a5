#include "actors/monitor/monitor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "actors/monitor/audit.hpp"

namespace aorta::monitor {
namespace {

using mesh::ServiceKind;
using mesh::ServiceState;

constexpr int exit_done = 0, exit_failed = 1, exit_usage = 2, exit_not_possible = 3;

// "executor-1 wait_ms=5000": what a verb is about, and how long the tool will wait for it.
struct Argument {
  std::string subject;
  Duration wait{};
};

Argument parse_argument(const std::string& text) {
  constexpr std::string_view marker = " wait_ms=";
  const std::size_t at = text.find(marker);
  Argument argument{text.substr(0, at), {}};
  if (at == std::string::npos) return argument;
  std::uint32_t wait_ms = 0;
  const char* begin = text.data() + at + marker.size();
  std::from_chars(begin, text.data() + text.size(), wait_ms);
  argument.wait = std::chrono::milliseconds(wait_ms);
  return argument;
}

std::string with_service(const std::string& labels, const std::string& name) {
  const std::string label = fmt::format("service=\"{}\"", name);
  return labels.empty() ? label : label + "," + labels;
}

}  // namespace

Monitor::Monitor(mesh::Hello self, const MonitorOptions& options)
    : options_(options),
      peering_(std::move(self), options_.peering),
      attendance_(peering_, options_.attendance),
      fleet_(peering_.self(), options_.max_executors) {}

Monitor::~Monitor() = default;

void Monitor::start(TimePoint now, mesh::Outbox& out) {
  attendance_.start(now, out);
  next_desired_ = now + options_.desired_every;
}

void Monitor::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                      mesh::Outbox& out) {
  using Outcome = mesh::Peering::Outcome;
  const Outcome outcome = peering_.handle(from, message, now, out);
  if (outcome == Outcome::joined || outcome == Outcome::restarted) {
    attendance_.beat(ServiceState::ready, now, out);
  }
  if (outcome != Outcome::none) return;
  if (auto* report = std::get_if<mesh::Report>(&message)) {
    reported_[from.name] = {report->figures, now};
  } else if (auto* membership = std::get_if<mesh::Membership>(&message)) {
    fleet_.on_membership(*membership);
  } else if (auto* node = std::get_if<mesh::NodeReport>(&message)) {
    const bool known = fleet_.decided() && fleet_.shares().contains(from.name);
    fleet_.on_node_report(from.name, *node);
    if (!known) tell_desired(now, out);
  } else if (auto* died = std::get_if<mesh::ChildDied>(&message)) {
    fleet_.on_died(*died);
  } else if (auto* reply = std::get_if<mesh::AuditReply>(&message)) {
    on_audit_reply(from, *reply, now, out);
  } else if (auto* control = std::get_if<mesh::Control>(&message)) {
    on_control({from, control->token}, *control, now, out);
  } else if (std::holds_alternative<mesh::Goodbye>(message)) {
    peer_gone(from.name);
    peering_.forget(from.name, now);
  } else if (std::holds_alternative<mesh::Drain>(message)) {
    drain(now, out);
  }
  answer_waiting(now, out);
}

void Monitor::unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox&) {
  const mesh::Peering::Peer* known = peering_.find(peer.name);
  if (!known || known->self != peer) return;
  peer_gone(peer.name);
  peering_.forget(peer.name, now);
}

void Monitor::peer_gone(const std::string& name) {
  fleet_.node_gone(name);
  reported_.erase(name);
  std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.tool.peer.name == name; });
}

void Monitor::drain(TimePoint now, mesh::Outbox& out) {
  attendance_.beat(ServiceState::stopping, now, out);
  attendance_.tell_both(mesh::Goodbye{}, out);
  out.leave = mesh::Outbox::Leave{0, "drained"};
}

void Monitor::tick(TimePoint now, mesh::Outbox& out) {
  peering_.tick(now, out);
  attendance_.beat(ServiceState::ready, now, out);
  std::erase_if(reported_, [&](const auto& entry) {
    const bool silent = now - entry.second.at >= options_.forget_figures_after;
    if (silent) fleet_.node_gone(entry.first);
    return silent;
  });
  if (now >= next_desired_) tell_desired(now, out);
  answer_waiting(now, out);
  tick_audits(now, out);
}

TimePoint Monitor::next_tick() const {
  // Waiting tools and audits need no timers of their own: a beat is close enough.
  return std::min({peering_.next_tick(), attendance_.next_beat(), next_desired_});
}

void Monitor::tell_desired(TimePoint now, mesh::Outbox& out) {
  next_desired_ = now + options_.desired_every;
  if (!fleet_.decided()) return;  // the node agents know; we would only repeat them
  for (const auto& [node, share] : fleet_.shares()) {
    if (const auto* peer = peering_.find(node)) out.send(peer->self, share);
  }
  out.send({"scheduler", {}}, fleet_.whole());
}

// ── Tools ────────────────────────────────────────────────────────────────────────────────────
void Monitor::answer(const Tool& tool, int exit_code, std::string text, mesh::Outbox& out) const {
  out.send(tool.peer, mesh::ControlReply{tool.token, exit_code, std::move(text)});
}

void Monitor::on_control(const Tool& tool, const mesh::Control& control, TimePoint now,
                         mesh::Outbox& out) {
  const Argument argument = parse_argument(control.argument);
  if (control.verb == "ps") {
    answer(tool, exit_done, fleet_.processes().dump(), out);
  } else if (control.verb == "health") {
    wait({tool, Waiting::For::ready, argument.subject, now + argument.wait}, now, out);
  } else if (control.verb == "scale") {
    on_scale(tool, argument.subject, argument.wait, now, out);
  } else if (control.verb == "drain") {
    on_drain(tool, argument.subject, argument.wait, now, out);
  } else if (control.verb == "audit") {
    audits_.push_back(
        {.tool = tool.peer, .token = tool.token, .deadline = now + options_.audit_for});
    begin_audit_round(audits_.back(), now, out);
  } else {
    answer(tool, exit_usage,
           fmt::format("the monitor does not know '{}'; it knows ps, health, scale, drain, audit",
                       control.verb),
           out);
  }
}

void Monitor::on_scale(const Tool& tool, const std::string& argument, Duration patience,
                       TimePoint now, mesh::Outbox& out) {
  std::uint32_t executors = 0;
  const char* end = argument.data() + argument.size();
  const auto [stop, error] = std::from_chars(argument.data(), end, executors);
  if (error != std::errc{} || stop != end || executors > fleet_.max_executors()) {
    return answer(tool, exit_usage,
                  fmt::format("'{}' is no number of executors: say 0 to {} (node.max_executors)",
                              argument, fleet_.max_executors()),
                  out);
  }
  if (!fleet_.has_nodes()) {
    return answer(tool, exit_not_possible,
                  "no node agent is here to start executors: `aorta up` has one unless it was told "
                  "--one-process; on other hosts run `aorta serve node` or `aorta serve executor`",
                  out);
  }
  if (!options_.actuates) {
    return answer(tool, exit_not_possible,
                  fmt::format("executors of this mesh come and go with their containers "
                              "(monitor.actuator is none): with compose, run `docker compose up -d "
                              "--no-recreate --scale executor={}`",
                              executors),
                  out);
  }
  fleet_.scale(executors);
  tell_desired(now, out);
  wait({tool, Waiting::For::settled, std::to_string(executors), now + patience}, now, out);
}

void Monitor::on_drain(const Tool& tool, const std::string& name, Duration patience, TimePoint now,
                       mesh::Outbox& out) {
  const mesh::Member* member = fleet_.find(name);
  const mesh::Peering::Peer* peer = peering_.find(name);
  if (!options_.actuates && fleet_.is_child(name)) {
    const std::string host = peer ? peer->hello.host : "ITS_CONTAINER";
    return answer(tool, exit_not_possible,
                  fmt::format("{} leaves with its container (monitor.actuator is none), which lets "
                              "it drain: run `docker stop -t 60 {}`",
                              name, host),
                  out);
  }
  if (fleet_.drain(name)) {
    tell_desired(now, out);
  } else if (member && member->kind == ServiceKind::executor && peer) {
    out.send(peer->self, mesh::Drain{});  // nobody's child: it leaves and nobody replaces it
  } else {
    return answer(tool, exit_usage,
                  fmt::format("there is no executor '{}': `aorta ps` lists them", name), out);
  }
  wait({tool, Waiting::For::gone, name, now + patience}, now, out);
}

void Monitor::wait(Waiting waiting, TimePoint now, mesh::Outbox& out) {
  if (!try_answer(waiting, now, out)) waiting_.push_back(std::move(waiting));
}

void Monitor::answer_waiting(TimePoint now, mesh::Outbox& out) {
  std::erase_if(waiting_, [&](const Waiting& waiting) { return try_answer(waiting, now, out); });
}

bool Monitor::try_answer(const Waiting& waiting, TimePoint now, mesh::Outbox& out) const {
  const bool late = now >= waiting.deadline;
  switch (waiting.what) {
    case Waiting::For::ready: {
      const auto reason = fleet_.why_not_ready(waiting.name);
      if (reason && !late) return false;
      answer(waiting.tool, reason ? exit_failed : exit_done,
             reason.value_or(waiting.name + " is ready"), out);
      return true;
    }
    case Waiting::For::settled: {
      const bool settled = fleet_.settled();
      if (!settled && !late) return false;
      answer(waiting.tool, exit_done,
             settled ? fmt::format("{} executors are ready", waiting.name)
                     : fmt::format("{} executors are wanted now; `aorta ps` shows them come and "
                                   "go",
                                   waiting.name),
             out);
      return true;
    }
    case Waiting::For::gone: {
      const mesh::Member* member = fleet_.find(waiting.name);
      const bool gone =
          !fleet_.known(waiting.name) || (member && member->state == ServiceState::dead);
      if (!gone && !late) return false;
      answer(waiting.tool, exit_done,
             gone ? waiting.name + " has left"
                  : waiting.name + " is draining: it leaves when what it runs has ended",
             out);
      return true;
    }
  }
  return true;
}

std::vector<mesh::Figure> Monitor::figures() const {
  std::vector<mesh::Figure> all = fleet_.figures();
  for (const auto& [name, reported] : reported_) {
    for (mesh::Figure figure : reported.figures) {
      figure.labels = with_service(figure.labels, name);
      all.push_back(std::move(figure));
    }
  }
  return all;
}

}  // namespace aorta::monitor
