#include "actors/node/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace aorta::node {
namespace {

using mesh::ServiceKind;
using mesh::ServiceState;

// The number in "executor-12"; 0 when there is none.
std::uint32_t number_of(const std::string& name) {
  std::uint32_t number = 0;
  const std::size_t dash = name.rfind('-');
  if (dash != std::string::npos) {
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), number);
  }
  return number;
}

// Who is stopped first: admission while executors still serve what it has running, then those.
constexpr int stop_turns = 3;
int stop_turn(ServiceKind kind) {
  switch (kind) {
    case ServiceKind::admission:
      return 0;
    case ServiceKind::executor:
      return 1;
    default:
      return 2;
  }
}

bool same(const mesh::NodeReport& a, const mesh::NodeReport& b) {
  const auto same_child = [](const auto& x, const auto& y) {
    return x.name == y.name && x.pid == y.pid && x.state == y.state;
  };
  return a.desired_executors == b.desired_executors &&
         std::equal(a.children.begin(), a.children.end(), b.children.begin(), b.children.end(),
                    same_child);
}

}  // namespace

Node::Node(mesh::Hello self, NodeOptions options)
    : options_(std::move(options)),
      peering_(std::move(self), options_.peering),
      attendance_(peering_, options_.attendance),
      children_(options_.restart),
      desired_(std::min(options_.executors, options_.max_executors)) {}

void Node::start(TimePoint now, mesh::Outbox& out) {
  attendance_.start(now, out);
  reconcile_executors(now);  // first: they take the longest to start
  for (const ChildSpec& spec : options_.fixed) children_.add(spec, now);
  reconcile(now, out);
}

void Node::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                   mesh::Outbox& out) {
  const auto outcome = peering_.handle(from, message, now, out);
  if (outcome == mesh::Peering::Outcome::joined || outcome == mesh::Peering::Outcome::restarted) {
    attendance_.tell_both(report(), out);
    attendance_.beat(state(), now, out);
  }
  if (outcome != mesh::Peering::Outcome::none) return;
  if (auto* membership = std::get_if<mesh::Membership>(&message)) {
    membership_ = *membership;
    for (const auto& [name, child] : children_.all()) {
      if (child.phase == Phase::running && is_ready(child)) children_.ready(name);
    }
  } else if (auto* desired = std::get_if<mesh::Desired>(&message)) {
    on_desired(*desired, now);
  } else if (auto* request = std::get_if<mesh::AuditRequest>(&message)) {
    out.send(from, mesh::AuditReply{
                       request->token,
                       fmt::format(R"({{"service":"node","desired_executors":{},"executors":{},)"
                                   R"("children":{},"deaths":{},"crashes":{}}})",
                                   desired_, executors(false).size(), children_.all().size(),
                                   deaths_, crashes_)});
  } else if (std::holds_alternative<mesh::Drain>(message)) {
    drain(now, out);
  }
  reconcile(now, out);
}

void Node::unreachable(const mesh::PeerId&, TimePoint, mesh::Outbox&) {
  // Nobody dials a node agent: what it sends goes through its own dealers, which never say so.
}

void Node::on_desired(const mesh::Desired& desired, TimePoint now) {
  desired_ = std::min(desired.executors, options_.max_executors);
  for (const std::string& name : desired.draining) {
    const Child* child = children_.find(name);
    if (child && child->spec.kind == ServiceKind::executor) children_.stop(name, now);
  }
}

void Node::drain(TimePoint now, mesh::Outbox& out) {
  draining_ = true;
  reconcile(now, out);
}

void Node::child_started(const std::string& name, std::uint32_t pid, Incarnation incarnation,
                         TimePoint now, mesh::Outbox& out) {
  children_.started(name, pid, incarnation);
  reconcile(now, out);
}

void Node::child_exited(const std::string& name, const Death& death, TimePoint now,
                        mesh::Outbox& out) {
  const Children::Exit exit = children_.exited(name, death, now);
  if (exit.child.spec.name.empty()) return;
  ++deaths_;
  crashes_ += death.counted ? 1 : 0;
  attendance_.tell_both(mesh::ChildDied{{name, exit.child.incarnation},
                                        death.exit_code,
                                        death.cause,
                                        death.counted,
                                        exit.restarting && !draining_},
                        out);
  const Child* left = children_.find(name);
  if (left && left->phase == Phase::failed && left->spec.kind != ServiceKind::executor) {
    // Without it there is no mesh here, and another try would end the same way.
    draining_ = true;
    leave_ = mesh::Outbox::Leave{
        death.exit_code, fmt::format("{} cannot run ({}): its log says why", name, death.cause)};
  }
  reconcile(now, out);
}

void Node::spawner_gone(TimePoint, mesh::Outbox& out) {
  if (draining_ && children_.all().empty()) return;
  out.leave = mesh::Outbox::Leave{
      1, "the spawner process was killed, so its children are draining and leaving: start again"};
}

void Node::reconcile(TimePoint now, mesh::Outbox& out) {
  if (draining_) {
    stop_in_order(now, out);
  } else {
    reconcile_executors(now);
  }
  attendance_.beat(state(), now, out);
  const mesh::NodeReport current = report();
  if (!same(current, reported_)) {
    attendance_.tell_both(current, out);
    reported_ = current;
  }
}

std::vector<const Child*> Node::executors(bool stopping_too) const {
  std::vector<const Child*> found;
  for (const auto& [name, child] : children_.all()) {
    if (child.spec.kind != ServiceKind::executor) continue;
    if (child.phase == Phase::stopping && !stopping_too) continue;
    found.push_back(&child);
  }
  return found;
}

void Node::reconcile_executors(TimePoint now) {
  std::vector<const Child*> kept = executors(false);
  // Surplus: those that cannot run first, then the newest names.
  std::sort(kept.begin(), kept.end(), [](const Child* a, const Child* b) {
    const bool a_runs = a->phase == Phase::running, b_runs = b->phase == Phase::running;
    if (a_runs != b_runs) return a_runs;
    return number_of(a->spec.name) < number_of(b->spec.name);
  });
  for (std::size_t i = kept.size(); i > desired_; --i) {
    const std::string name = kept[i - 1]->spec.name;
    children_.stop(name, now);
  }
  for (std::size_t i = kept.size(); i < desired_; ++i) {
    children_.add({free_name(), ServiceKind::executor}, now);
  }
}

std::string Node::free_name() const {
  for (std::uint32_t number = 1;; ++number) {
    std::string name = fmt::format("{}-{}", options_.name_prefix, number);
    if (!children_.find(name)) return name;
  }
}

void Node::stop_in_order(TimePoint now, mesh::Outbox& out) {
  for (int turn = 0; turn < stop_turns; ++turn) {
    std::vector<std::string> names;
    for (const auto& [name, child] : children_.all()) {
      if (stop_turn(child.spec.kind) == turn) names.push_back(name);
    }
    for (const std::string& name : names) children_.stop(name, now);
    // Those that did not run are forgotten already; the next turn waits for the others.
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return children_.find(name) != nullptr; })) {
      return;
    }
  }
  attendance_.tell_both(mesh::Goodbye{}, out);
  out.leave = leave_.value_or(mesh::Outbox::Leave{0, "drained"});
}

bool Node::is_ready(const Child& child) const {
  return std::any_of(membership_.members.begin(), membership_.members.end(),
                     [&](const mesh::Member& member) {
                       return member.self.name == child.spec.name && member.pid == child.pid &&
                              member.state == ServiceState::ready;
                     });
}

bool Node::whole() const {
  if (draining_ || executors(false).size() < desired_) return false;
  return std::all_of(children_.all().begin(), children_.all().end(), [&](const auto& entry) {
    const Child& child = entry.second;
    return child.phase == Phase::stopping || (child.phase == Phase::running && is_ready(child));
  });
}

mesh::NodeReport Node::report() const {
  mesh::NodeReport report{draining_ ? 0 : desired_, {}};
  for (const auto& [name, child] : children_.all()) {
    ServiceState state = ServiceState::starting;
    if (child.phase == Phase::stopping) state = ServiceState::draining;
    if (child.phase == Phase::failed) state = ServiceState::dead;
    if (child.phase == Phase::running && is_ready(child)) state = ServiceState::ready;
    report.children.push_back({name, child.spec.kind, child.pid, state});
  }
  return report;
}

ServiceState Node::state() const {
  return draining_ ? ServiceState::draining : ServiceState::ready;
}

std::vector<mesh::Figure> Node::figures() const {
  using mesh::FigureKind;
  return {
      {"aorta_node_desired_executors", "", static_cast<double>(desired_), FigureKind::gauge},
      {"aorta_node_children", "", static_cast<double>(children_.all().size()), FigureKind::gauge},
      {"aorta_node_child_deaths_total", "", static_cast<double>(deaths_), FigureKind::counter},
      {"aorta_node_child_crashes_total", "", static_cast<double>(crashes_), FigureKind::counter},
  };
}

void Node::tick(TimePoint now, mesh::Outbox& out) {
  peering_.tick(now, out);
  children_.tick(now);
  reconcile(now, out);
  if (attendance_.report_due(now)) {
    attendance_.report({state(), figures()}, now, out);
    attendance_.tell_both(report(), out);
  }
}

TimePoint Node::next_tick() const {
  return std::min({peering_.next_tick(), attendance_.next_tick(), children_.next_tick()});
}

}  // namespace aorta::node
