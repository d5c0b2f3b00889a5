#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>

#include "actors/figures.hpp"
#include "actors/host_impl.hpp"
#include "actors/shell_impl.hpp"
#include "base/log.hpp"

namespace aorta::actors {

namespace asio = boost::asio;

struct Host::Impl::Signals {
  Signals(Impl& host, std::function<void()> hook)
      : host(host), on_hup(std::move(hook)), set(host.loop.io(), SIGINT, SIGTERM, SIGHUP) {
    wait();
  }
  void wait() {
    set.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      handle(signal);
      wait();
    });
  }
  void handle(int signal) {
    if (signal == SIGHUP) {
      if (on_hup) on_hup();
      return;
    }
    if (signal == SIGINT && host.draining) {
      log::warning("interrupted while draining: leaving at once");
      std::_Exit(exit_interrupted);
    }
    log::info("draining", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
    host.drain_all();
  }

  Impl& host;
  std::function<void()> on_hup;
  asio::signal_set set;
};

Host::Impl::Impl(const HostOptions& options) : options(options) {
  // Only actors off the loop use CAF's scheduler, and its work stealing spins.
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", 1);
  system = std::make_unique<caf::actor_system>(config);
  unit = std::make_unique<LoopUnit>(*system, loop.io());
}

// Shells are gone and have told their actors to exit: let them, then end CAF, then the loop.
Host::Impl::~Impl() {
  AORTA_CHECK(shells.empty(), "a host outlives its shells");
  signals.reset();
  while (unit->run_ready()) {
  }
  system.reset();
  unit.reset();
}

void Host::Impl::left(int code) {
  take(code);
  if (--running == 0) return loop.io().stop();
  if (code != 0) drain_all();
}

void Host::Impl::stop(int code) {
  take(code);
  loop.io().stop();
}

void Host::Impl::drain_all() {
  if (std::exchange(draining, true)) return;
  for (Shell::Impl* shell : shells) shell->post_drain();
}

Host::Host(const HostOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Host::~Host() = default;

boost::asio::io_context& Host::io() { return impl_->loop.io(); }
mesh::WireLoop& Host::loop() { return impl_->loop; }

int Host::run() {
  const auto work = asio::make_work_guard(io());
  try {
    io().run();
  } catch (const std::exception& error) {
    log::error("a handler failed: this is a bug", {{"what", error.what()}});
    impl_->take(exit_bug);
  }
  return impl_->exit_code;
}

void Host::stop(int exit_code) {
  asio::post(io(), [this, exit_code] { impl_->stop(exit_code); });
}

void Host::handle_signals(std::function<void()> on_hup) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error of the write
  impl_->signals = std::make_unique<Impl::Signals>(*impl_, std::move(on_hup));
}

std::vector<mesh::Figure> Host::Impl::refusals() const {
  std::vector<mesh::Figure> figures;
  for (const auto& [reason, count] : loop.refusals()) {
    figures.push_back(counter("aorta_security_rejected_total", label("reason", reason),
                              static_cast<double>(count)));
  }
  return figures;
}

std::vector<mesh::Figure> Host::refusals() const { return impl_->refusals(); }

void Host::use_keys(std::shared_ptr<const mesh::MeshKeys> keys) { impl_->keys = std::move(keys); }

}  // namespace aorta::actors
