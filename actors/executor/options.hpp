#pragma once
// Every limit of the executor's core, with its default, its unit and a sentence.
#include <cstdint>
#include <string>

#include "base/clock.hpp"

namespace aorta::executor {

enum class DrainMode {
  finish,     // what runs goes on to its end, and what is left after drain_for is handed over
  hand_over,  // what runs is given back at once and goes on elsewhere
};

struct ExecutorOptions {
  std::string scheduler_address;
  std::string monitor_address;  // empty: no reports
  std::string cache_address;    // empty: this executor packs for itself
  std::string gguf_path;        // empty: a model that needs no pack (the fake one)
  bool opens_at_once = false;   // a pack of it is here, and the engine is being opened with that

  // Heartbeats to the scheduler, and the least time between them when slots come free.
  Duration beat_every = std::chrono::milliseconds(100);
  Duration beat_apart = std::chrono::milliseconds(5);
  // Between reports to the monitor.
  Duration report_every = std::chrono::seconds(1);
  // An unacknowledged tail is sent again after so long without an ack.
  Duration resend_after = std::chrono::milliseconds(500);
  // What an admission may ask for as a lease.
  Duration min_lease = std::chrono::milliseconds(200);
  Duration max_lease = std::chrono::seconds(60);
  // An admission that is no member any more is hung up after so long: the membership of a scheduler
  // that has just restarted is not whole yet.
  Duration hang_up_after = std::chrono::seconds(5);
  // How often the cache is asked for the pack, how long it may take to answer for the first time,
  // and to be silent later, before this executor packs for itself.
  Duration pack_request_every = std::chrono::seconds(1);
  Duration cache_wait = std::chrono::seconds(1);
  Duration cache_silence = std::chrono::seconds(5);
  // Draining: how, and how long what runs may go on.
  DrainMode drain_mode = DrainMode::finish;
  Duration drain_for = std::chrono::seconds(30);
};

}  // namespace aorta::executor
