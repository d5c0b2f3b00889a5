#include "actors/shell_impl.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/log.hpp"

namespace aorta::actors {
namespace {

// The actor: takes turns one at a time, and an exception in one ends the process.
ServiceActor::behavior_type service_actor(ServiceActor::pointer self,
                                          std::shared_ptr<Shell::Impl> shell) {
  self->set_exception_handler([name = shell->name](std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      log::error("a handler failed: this is a bug", {{"service", name}, {"what", error.what()}});
    } catch (...) {
      log::error("a handler failed: this is a bug", {{"service", name}});
    }
    return caf::exit_reason::unhandled_exception;
  });
  self->attach_functor([&host = shell->host](const caf::error& reason) {
    if (reason == caf::exit_reason::unhandled_exception) host.stop(exit_bug);
  });
  return {[shell](const Batch& batch) { shell->receive(batch); },
          [shell](const PostedTurn& posted) { shell->run(posted.turn); },
          [shell](tick_atom) { shell->tick(); }};
}

// CAF instantiates behaviours from classes when they are to be spawned by class.
class LoopService : public OnLoop<ServiceActor::base> {
 public:
  LoopService(caf::actor_config& config, LoopUnit* unit, std::shared_ptr<Shell::Impl> shell)
      : OnLoop(config, unit), shell_(std::move(shell)) {}
  ServiceActor::behavior_type make_behavior() override {
    return service_actor(this, std::move(shell_));
  }

 private:
  std::shared_ptr<Shell::Impl> shell_;
};

// Set while a turn runs, also when it throws.
struct TurnMark {
  explicit TurnMark(bool& in_turn) : in_turn(in_turn) { in_turn = true; }
  ~TurnMark() { in_turn = false; }
  bool& in_turn;
};

mesh::WireOptions wire_options(const Host::Impl& host) {
  return {.max_message_bytes = host.options.max_message_bytes,
          .send_queue_messages = host.options.send_queue_messages,
          .keys = host.keys};
}

// What the wire has refused is part of what every service reports.
mesh::Message with_refusals(const mesh::Report& report, const Host::Impl& host) {
  mesh::Report more = report;
  for (mesh::Figure& figure : host.refusals()) more.figures.push_back(std::move(figure));
  return more;
}

}  // namespace

Shell::Impl::Impl(Shell& shell, Host::Impl& host, std::unique_ptr<mesh::Service> given)
    : name(given->self().self.name),
      shell(&shell),
      host(host),
      core(std::move(given)),
      wire(std::make_unique<mesh::Wire>(host.loop, core->self().self, wire_options(host),
                                        [this](std::vector<mesh::Wire::Incoming> messages) {
                                          caf::anon_send(actor, Batch{std::move(messages)});
                                        })),
      timer(host.loop.io()) {}

void Shell::Impl::bind(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    auto result = wire->bind(endpoint);
    if (!result.ok()) throw std::runtime_error(result.error().message);
    bound.push_back(std::move(result).value());
  }
}

void Shell::Impl::spawn() {
  caf::actor_config config{host.unit.get()};
  actor = host.system->spawn_class<LoopService, caf::no_spawn_options>(config, host.unit.get(),
                                                                       shared_from_this());
  host.shells.push_back(this);
  ++host.running;
}

void Shell::Impl::close() {
  AORTA_CHECK(!in_turn, "a shell destroyed in its own turn");
  shell = nullptr;
  if (!left) --host.running;
  std::erase(host.shells, this);
  timer.cancel();
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  actor = nullptr;
  wire.reset();
  core.reset();
}

void Shell::Impl::post(Turn turn) { caf::anon_send(actor, PostedTurn{std::move(turn)}); }

void Shell::Impl::post_drain() {
  post([this](TimePoint at, mesh::Outbox& out) { core->drain(at, out); });
}

void Shell::Impl::run(const Turn& body) {
  if (!shell || left) return;
  AORTA_CHECK(!in_turn, "a turn within a turn");
  const TimePoint at = now();
  mesh::Outbox out;
  {
    const TurnMark mark(in_turn);
    body(at, out);
    flush(at, out);
  }
  left = out.leave.has_value();
  shell->after_turn(at);  // may run turns of its own, and one of those may leave
  if (out.leave) {
    timer.cancel();
    shell->leave(*out.leave);
  } else if (!left) {
    arm_timer();
  }
}

void Shell::Impl::receive(const Batch& batch) {
  run([&](TimePoint at, mesh::Outbox& out) {
    for (const auto& [from, message] : batch.messages) {
      core->receive(from, message, at, out);
      if (out.leave) return;
    }
  });
}

void Shell::Impl::tick() {
  armed = never;
  run([&](TimePoint at, mesh::Outbox& out) {
    if (core->next_tick() <= at) core->tick(at, out);
  });
}

// What cannot be reached is told to the core, each peer once a turn, and what that makes it do is
// done as well.
void Shell::Impl::flush(TimePoint at, mesh::Outbox& out) {
  std::vector<mesh::PeerId> told;
  std::vector<mesh::PeerId> unreachable = carry_out(out);
  while (!unreachable.empty()) {
    mesh::Outbox more;
    for (const mesh::PeerId& peer : unreachable) {
      if (std::find(told.begin(), told.end(), peer) != told.end()) continue;
      told.push_back(peer);
      core->unreachable(peer, at, more);
    }
    unreachable = carry_out(more);
    if (!out.leave) out.leave = std::move(more.leave);
  }
}

std::vector<mesh::PeerId> Shell::Impl::carry_out(const mesh::Outbox& out) {
  std::vector<mesh::PeerId> unreachable;
  for (const auto& [name, address] : out.dials) {
    auto dialled = wire->dial(name, address);
    if (!dialled.ok()) host.loop.trouble(dialled.error().message);
  }
  for (const auto& [to, message] : out.sends) {
    const auto* report = std::get_if<mesh::Report>(&message);
    const auto sent =
        report != nullptr ? wire->send(to, with_refusals(*report, host)) : wire->send(to, message);
    if (sent == mesh::SendResult::unreachable) unreachable.push_back(to);
  }
  for (const std::string& forgery : out.forgeries) host.loop.refuse("forged", forgery);
  for (const std::string& name : out.hangups) wire->hang_up(name);
  return unreachable;
}

void Shell::Impl::arm_timer() {
  const TimePoint next = core->next_tick();
  if (next == armed) return;
  armed = next;
  timer.cancel();
  if (next == never) return;
  timer.expires_at(next);
  timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->shell) caf::anon_send(self->actor, tick_atom::value);
  });
}

Shell::Shell(Host& host, std::unique_ptr<mesh::Service> core, const std::vector<std::string>& binds)
    : impl_(std::make_shared<Impl>(*this, *host.impl_, std::move(core))) {
  impl_->bind(binds);
  impl_->spawn();
}

Shell::~Shell() { impl_->close(); }

void Shell::post(Turn turn) { impl_->post(std::move(turn)); }
void Shell::run_turn(const Turn& turn) { impl_->run(turn); }
void Shell::begin() {
  impl_->run([this](TimePoint at, mesh::Outbox& out) { impl_->core->start(at, out); });
}
mesh::Service& Shell::core() { return *impl_->core; }
const std::vector<std::string>& Shell::bound() const { return impl_->bound; }
const mesh::Wire::Counts& Shell::wire_counts() const { return impl_->wire->counts(); }

void Shell::after_turn(TimePoint) {}

void Shell::leave(const mesh::Outbox::Leave& leave) {
  log::info("leaving", {{"service", core().self().self.name},
                        {"exit_code", leave.exit_code},
                        {"reason", leave.reason}});
  impl_->host.left(leave.exit_code);
}

}  // namespace aorta::actors
