#pragma once
// Every limit of the scheduler, with its default, its unit and a sentence.
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::scheduler {

struct PolicyOptions {
  // Percent of the slots that a tier keeps while it has waiters, by tier: urgent, high, normal.
  std::array<std::uint32_t, mesh::tier_count> floor_percent{0, 15, 10};
  // How often the head of a queue that fits nowhere may be passed by those behind it.
  std::uint32_t head_passes = 8;
  // What a prompt token costs its tenant; a generated one costs 1.
  double prompt_token_cost = 0.25;
  // Shares of tenants within a tier relative to 1, which is everybody else's; above 0.
  std::map<std::string, double> tenant_weights;
};

struct ExecutorOptions {
  // A new executor's slots are preferred little by little over this time, so that all waiting
  // requests do not prefill on it at once while others have room.
  Duration slow_start = std::chrono::seconds(10);
  // An executor that crashed or stalled takes one request at a time for this long.
  Duration probation = std::chrono::seconds(10);
  // Stalled: requests on board and no step finished for this long, or for `stall_steps` × its
  // median step, or its step of `step_tokens` while a prompt is prefilled; whichever is longest.
  Duration stall_after = std::chrono::seconds(2);
  std::uint32_t stall_steps = 10;
  std::uint32_t step_tokens = 256;
  // One that steps again was slow, not stuck: its limit doubles, but for this; and falls by half
  // when it has not been stalled for `stall_calm`.
  Duration stall_most = std::chrono::seconds(16);
  Duration stall_calm = std::chrono::seconds(60);
  // Prefill rate taken for an executor that has not measured its own, in tokens per second.
  std::uint32_t assumed_prefill_per_second = 1000;
  // Blocks of which is remembered that they were placed on an executor: as many as it has, and no
  // more than this. 0: its cache is not thought of.
  std::uint32_t remember_prefixes = 65'536;
};

struct SchedulerOptions {
  std::string monitor_address;  // where reports go; empty: nowhere
  // How often scheduler and members exchange heartbeats.
  Duration beat_every = std::chrono::milliseconds(100);
  // A member that was silent for so many beats is dead.
  std::uint32_t missed_beats = 20;
  // And one that was silent for so many since its connection was found to be gone: whoever lives
  // connects again at once.
  std::uint32_t cut_beats = 5;
  // After its own start: learn what runs where before placing anything.
  Duration settle = std::chrono::milliseconds(300);
  // Claims are compared for so many beats before one side's is dropped.
  std::uint32_t reconcile_beats = 2;
  // Between the full membership that nobody asked for, and between reports to the monitor.
  Duration membership_every = std::chrono::seconds(1);
  // Dead members stay listed this long, for people to see.
  Duration remember_dead = std::chrono::seconds(60);
  // How long the most slots seen still count for admission, while executors restart.
  Duration remember_slots = std::chrono::seconds(30);
  // Closed requests of which is remembered who had them and what was paid.
  std::uint32_t remember_requests = 16'384;
  PolicyOptions policy;
  ExecutorOptions executors;
};

}  // namespace aorta::scheduler
