#include "mesh/wire_loop.hpp"

#include <utility>  // before asio.hpp: g++ 12 with C++20 needs it

#include <fmt/format.h>
#include <zmq.h>

#include <boost/asio/io_context.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "mesh/zmq_zap.hpp"

namespace aorta::mesh {

namespace {
constexpr int troubles_per_period = 5;
constexpr Duration trouble_period = std::chrono::seconds(10);
}  // namespace

struct WireLoop::Impl {
  void tell(const std::string& sentence) {
    if (options.on_trouble) {
      options.on_trouble(sentence);
    } else {
      log::warning(sentence);
    }
  }

  WireLoopOptions options;
  boost::asio::io_context io{1};
  void* zmq = zmq_ctx_new();
  TimePoint period_began{};
  int told = 0;
  std::uint64_t withheld = 0;
  std::map<std::string, std::uint64_t> refusals;
  std::unique_ptr<Zap> zap;
};

WireLoop::WireLoop(WireLoopOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}

WireLoop::~WireLoop() {
  impl_->zap.reset();
  zmq_ctx_term(impl_->zmq);
}

boost::asio::io_context& WireLoop::io() { return impl_->io; }
void* WireLoop::zmq_context() { return impl_->zmq; }

void WireLoop::trouble(const std::string& sentence) {
  Impl& state = *impl_;
  if (const TimePoint at = now(); at - state.period_began >= trouble_period) {
    if (state.withheld > 0) {
      state.tell(fmt::format("{} more such warnings were withheld", state.withheld));
    }
    state.period_began = at;
    state.told = 0;
    state.withheld = 0;
  }
  if (state.told++ < troubles_per_period) {
    state.tell(sentence);
  } else {
    ++state.withheld;
  }
}

void WireLoop::refuse(const std::string& reason, const std::string& sentence) {
  ++impl_->refusals[reason];
  trouble(sentence);
}

const std::map<std::string, std::uint64_t>& WireLoop::refusals() const { return impl_->refusals; }

Zap& WireLoop::zap() {
  if (!impl_->zap) impl_->zap = std::make_unique<Zap>(*this);
  return *impl_->zap;
}

}  // namespace aorta::mesh
