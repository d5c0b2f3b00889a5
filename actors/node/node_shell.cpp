#include "actors/node/node_shell.hpp"

#include <utility>
// <utility> before Boost.Asio: g++ 12 with C++20 needs it so.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/log.hpp"

namespace aorta::node {

struct NodeShell::Watch {
  Watch(boost::asio::io_context& io, int fd) : descriptor(io, fd) {}
  // The socket is the spawner's; Asio only watches it.
  ~Watch() { descriptor.release(); }
  boost::asio::posix::stream_descriptor descriptor;
};

NodeShell::NodeShell(actors::Host& host, std::unique_ptr<Node> core, Spawner& spawner,
                     NodeShellOptions options)
    : Shell(host, std::move(core), {}),
      node_(static_cast<Node&>(Shell::core())),
      spawner_(spawner),
      options_(std::move(options)),
      watch_(std::make_unique<Watch>(host.io(), spawner.fd())) {
  wait_for_events();
}

NodeShell::~NodeShell() = default;

void NodeShell::signal_children(int signal) {
  for (const auto& [name, child] : node_.children()) {
    if (child.pid != 0) spawner_.signal(child.pid, signal);
  }
}

void NodeShell::wait_for_events() {
  watch_->descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                [this](boost::system::error_code error) {
                                  if (error) return;
                                  while (auto event = spawner_.next_event()) {
                                    on_event(*event);
                                    if (std::holds_alternative<SpawnerGone>(*event)) return;
                                  }
                                  wait_for_events();
                                });
}

void NodeShell::on_event(const SpawnEvent& event) {
  run_turn([&](TimePoint now, mesh::Outbox& out) {
    if (auto* started = std::get_if<SpawnStarted>(&event)) {
      log::info("started", {{"child", started->name}, {"pid", started->pid}});
      node_.child_started(started->name, started->pid, incarnations_[started->name], now, out);
    } else if (auto* exited = std::get_if<SpawnExited>(&event)) {
      const Death death = explain_death(exited->wait_status, exited->oom_kill);
      const auto* child =
          node_.children().contains(exited->name) ? &node_.children().at(exited->name) : nullptr;
      const std::string log = log_of(exited->name);
      const bool asked = child && child->phase == Phase::stopping && death.exit_code == 0;
      log::event(asked ? log::Level::info : log::Level::warning,
                 asked ? "child left" : "child died",
                 {{"child", exited->name},
                  {"pid", exited->pid},
                  {"cause", death.cause},
                  {"log", log.empty() ? "stderr" : log}});
      node_.child_exited(exited->name, death, now, out);
    } else {
      node_.spawner_gone(now, out);
    }
  });
}

std::string NodeShell::log_of(const std::string& child) const {
  return options_.log_folder.empty() ? "" : options_.log_folder + "/" + child + ".log";
}

void NodeShell::after_turn(TimePoint) {
  for (const ChildAction& action : node_.take_actions()) {
    if (auto* start = std::get_if<StartChild>(&action)) {
      const std::string& name = start->spec.name;
      const Incarnation incarnation = options_.draw_incarnation();
      incarnations_[name] = incarnation;
      spawner_.start({name, options_.arguments(start->spec, incarnation), log_of(name)});
    } else if (auto* signal = std::get_if<SignalChild>(&action)) {
      spawner_.signal(signal->pid, signal->signal);
    }
  }
  if (!was_whole_ && node_.whole()) {
    was_whole_ = true;
    if (options_.on_whole) options_.on_whole();
  }
}

}  // namespace aorta::node
