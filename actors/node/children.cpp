#include "actors/node/children.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

namespace aorta::node {
namespace {

constexpr int exit_not_possible = 3;
constexpr int exit_bad_configuration = 78;
constexpr int exit_try_again = 75;

bool is_final(const Death& death) {
  return death.exit_code == exit_not_possible || death.exit_code == exit_bad_configuration;
}

// Its own doing, so that it will likely happen again: wait longer each time.
bool backs_off(const Death& death) { return death.counted || death.exit_code == exit_try_again; }

// 0 for the first failure in a row, then `first`, doubling up to `max`.
Duration backoff(std::uint32_t failures, const RestartOptions& options) {
  if (failures <= 1) return Duration::zero();
  Duration wait = options.backoff_first;
  for (std::uint32_t i = 2; i < failures && wait < options.backoff_max; ++i) wait *= 2;
  return std::min(wait, options.backoff_max);
}

}  // namespace

void Children::start(Child& child, TimePoint now) {
  child.phase = Phase::starting;
  child.pid = 0;
  child.incarnation = {};
  child.started = now;
  child.was_ready = false;
  child.due = never;
  actions_.push_back(StartChild{child.spec});
}

void Children::add(const ChildSpec& spec, TimePoint now) {
  auto [it, added] = children_.try_emplace(spec.name, Child{.spec = spec});
  if (added) start(it->second, now);
}

void Children::stop(const std::string& name, TimePoint now) {
  auto it = children_.find(name);
  if (it == children_.end() || it->second.phase == Phase::stopping) return;
  Child& child = it->second;
  if (child.phase == Phase::waiting || child.phase == Phase::failed) {
    children_.erase(it);
    return;
  }
  child.phase = Phase::stopping;
  child.due = now + options_.stop_patience;
  if (child.pid != 0) actions_.push_back(SignalChild{name, child.pid, SIGTERM});
}

void Children::started(const std::string& name, std::uint32_t pid, Incarnation incarnation) {
  auto it = children_.find(name);
  if (it == children_.end()) return;
  Child& child = it->second;
  child.pid = pid;
  child.incarnation = incarnation;
  if (child.phase == Phase::starting) child.phase = Phase::running;
  if (child.phase == Phase::stopping) actions_.push_back(SignalChild{name, pid, SIGTERM});
}

void Children::ready(const std::string& name) {
  if (auto it = children_.find(name); it != children_.end()) it->second.was_ready = true;
}

Children::Exit Children::exited(const std::string& name, const Death& death, TimePoint now) {
  auto it = children_.find(name);
  if (it == children_.end()) return {};
  Child& child = it->second;
  const Exit exit{child, child.phase != Phase::stopping && !is_final(death)};
  if (child.phase == Phase::stopping) {
    children_.erase(it);
    return exit;
  }
  child.pid = 0;
  child.last_death = death;
  if (is_final(death)) {
    child.phase = Phase::failed;
    child.due = never;
    return exit;
  }
  // One that served was brought down by what it was given, which is the scheduler's to keep apart:
  // waiting would only keep it from everybody else.
  const bool lived_well = child.was_ready || now - child.started >= options_.backoff_max;
  child.failures = backs_off(death) ? (lived_well ? 0 : child.failures) + 1 : 0;
  child.phase = Phase::waiting;
  // Never faster than one start per `backoff_first`, so that no death can keep the host busy.
  child.due =
      std::max(now + backoff(child.failures, options_), child.started + options_.backoff_first);
  if (child.due <= now) start(child, now);
  return exit;
}

void Children::tick(TimePoint now) {
  for (auto& [name, child] : children_) {
    if (child.due > now) continue;
    if (child.phase == Phase::waiting) {
      start(child, now);
    } else if (child.phase == Phase::stopping && child.pid != 0) {
      actions_.push_back(SignalChild{name, child.pid, SIGKILL});
      child.due = now + options_.stop_patience;
    } else {
      child.due = never;
    }
  }
}

TimePoint Children::next_tick() const {
  TimePoint next = never;
  for (const auto& [name, child] : children_) next = std::min(next, child.due);
  return next;
}

const Child* Children::find(const std::string& name) const {
  auto it = children_.find(name);
  return it == children_.end() ? nullptr : &it->second;
}

std::vector<ChildAction> Children::take_actions() { return std::exchange(actions_, {}); }

}  // namespace aorta::node
