#include <utility>  // before asio: g++ 12 with C++20 needs it

#include "services/admission_service.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>

namespace aorta::services {

class Composition::AdmissionService::Shell final : public admission::AdmissionShell {
 public:
  using AdmissionShell::AdmissionShell;
  std::function<void()> on_leave;
  std::function<void()> on_ready;  // once
  void leave_now() {
    if (leave_) AdmissionShell::leave(*std::exchange(leave_, std::nullopt));
  }

 protected:
  void after_turn(TimePoint now) override {
    AdmissionShell::after_turn(now);
    if (on_ready && readiness().ready) std::exchange(on_ready, nullptr)();
  }
  void leave(const mesh::Outbox::Leave& leave) override {
    leave_ = leave;
    on_leave();
  }

 private:
  std::optional<mesh::Outbox::Leave> leave_;
};

struct Composition::AdmissionService::Patience {
  boost::asio::steady_timer timer;
  std::chrono::milliseconds most;
};

Composition::AdmissionService::AdmissionService(actors::Host& host,
                                                std::unique_ptr<admission::Admission> core,
                                                const std::vector<std::string>& binds,
                                                const FrontOptions& fronts)
    : patience_(new Patience{boost::asio::steady_timer(host.io()), fronts.farewell}),
      shell_(std::make_unique<Shell>(host, std::move(core), binds)) {
  http_ = std::make_unique<fronts::HttpFront>(host.io(), *shell_, fronts.http, fronts.keys);
  zmq_ = std::make_unique<fronts::ZmqFront>(host.loop(), *shell_, fronts.zmq, fronts.keys);
  use_tls(fronts.tls);
  http_->start(shell_->add_front(*http_));
  zmq_->start(shell_->add_front(*zmq_));
  shell_->on_leave = [this] { empty_fronts(); };
}

Composition::AdmissionService::~AdmissionService() = default;

void Composition::AdmissionService::keep_journal(admission::JournalWriterOptions options,
                                                 admission::OpenedJournal opened) {
  shell_->keep_journal(std::move(options), std::move(opened));
}

void Composition::AdmissionService::begin() { shell_->begin(); }

void Composition::AdmissionService::when_ready(std::function<void()> ready) {
  shell_->on_ready = std::move(ready);
}

void Composition::AdmissionService::empty_fronts() {
  http_->drain([this] { fronts_done(); });
  zmq_->drain([this] { fronts_done(); });
  patience_->timer.expires_after(patience_->most);
  patience_->timer.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    http_->close();
    zmq_->close();
    shell_->leave_now();
  });
}

void Composition::AdmissionService::fronts_done() {
  if (--fronts_open_ > 0) return;
  patience_->timer.cancel();
  shell_->leave_now();
}

}  // namespace aorta::services
