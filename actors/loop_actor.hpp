#pragma once
// CAF on the loop's thread: an actor whose enqueue() names the loop as its execution unit runs
// there, as caf::io's brokers do. CAF's headers come in here and nowhere else.
#include <utility>  // before asio.hpp: g++ 12 with C++20 needs it

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/all.hpp>
#include <deque>
#include <mutex>

namespace aorta::actors {

// Actors that are ready to run; drained by a handler on the loop.
class LoopUnit : public caf::execution_unit {
 public:
  LoopUnit(caf::actor_system& system, boost::asio::io_context& io)
      : execution_unit(&system), io_(io) {}

  // Any thread. Takes over a reference to the job.
  void exec_later(caf::resumable* job) override {
    {
      std::lock_guard lock(mutex_);
      ready_.push_back(job);
      if (std::exchange(posted_, true)) return;
    }
    boost::asio::post(io_, [this] { run_ready(); });
  }

  // On the loop's thread. Answers whether anything ran.
  bool run_ready() {
    std::deque<caf::resumable*> jobs;
    {
      std::lock_guard lock(mutex_);
      jobs.swap(ready_);
      posted_ = false;
    }
    for (caf::resumable* job : jobs) {
      if (job->resume(this, messages_per_resume) == caf::resumable::resume_later) {
        exec_later(job);
      } else {
        caf::intrusive_ptr_release(job);
      }
    }
    return !jobs.empty();
  }

 private:
  static constexpr std::size_t messages_per_resume = 64;  // then sockets and timers have a turn

  boost::asio::io_context& io_;
  std::mutex mutex_;
  std::deque<caf::resumable*> ready_;
  bool posted_ = false;
};

template <class Base>
class OnLoop : public Base {
 public:
  template <class... Args>
  OnLoop(caf::actor_config& config, LoopUnit* unit, Args&&... args)
      : Base(config, std::forward<Args>(args)...), unit_(unit) {}
  using Base::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    Base::enqueue(std::move(element), unit_);
  }

 private:
  LoopUnit* unit_;
};

}  // namespace aorta::actors
