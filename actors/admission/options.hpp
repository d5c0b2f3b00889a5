#pragma once
// Every limit of an admission: its default, its unit in its name, a sentence each.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace aorta::admission {

struct AdmissionOptions {
  // Whom it dials. An empty monitor address: no reports.
  std::string scheduler_address;
  std::string monitor_address;
  // Served when a request names no model, or "default".
  std::string default_model;

  // ── What a request may ask ─────────────────────────────────────────────────────────────────
  // When a request names none: the least of this and what its prompt leaves of the context.
  std::uint32_t default_max_tokens = 1024;
  // When a request names neither.
  float default_temperature = 1, default_top_p = 1;
  // From arrival to the end of the answer, when a request names none.
  std::uint32_t default_timeout_ms = 600'000;
  // A longer one is cut to this.
  std::uint32_t max_timeout_ms = 3'600'000;
  // Answers that one request may ask for.
  std::uint32_t max_choices = 16;

  // ── How much is taken ──────────────────────────────────────────────────────────────────────
  // Requests not ended, in all: bounds memory whatever the load. Each choice counts, here and in
  // all that follows.
  std::uint32_t open_requests = 2048;
  // Of these, of one tenant.
  std::uint32_t open_per_tenant = 1024;
  // The longest predicted wait that is still accepted, by tier: urgent, high, normal.
  std::array<std::uint32_t, 3> max_wait_ms{2'000, 10'000, 60'000};
  // With no executor ready but some coming, a request is held this long at most before it is
  // accepted or refused.
  std::uint32_t hold_ms = 10'000;
  // Requests of the urgent tier may take this share of all slots.
  std::uint32_t urgent_share_percent = 50;
  // The scheduler's figures are trusted for so long.
  std::uint32_t beat_stale_ms = 1'000;
  // Requests taken without trusted figures, until they are back.
  std::uint32_t blind_requests = 64;
  // Bounds of what a refusal tells the client to wait.
  std::uint32_t retry_after_least_ms = 1'000;
  std::uint32_t retry_after_most_ms = 30'000;

  // ── Running ────────────────────────────────────────────────────────────────────────────────
  // Blocks of a request, from its first on, that a scheduler is told the names of: it places the
  // request where they may be cached.
  std::uint32_t prefix_blocks = 512;
  // An executor's right to go on without an ack; acks come four times as often.
  std::uint32_t lease_ms = 5'000;
  // Acks to one executor are at least so far apart.
  std::uint32_t ack_every_ms = 20;
  // A request whose executor is not connected is placed anew after this.
  std::uint32_t executor_wait_ms = 1'000;
  // Full state to the scheduler.
  std::uint32_t beat_every_ms = 100;
  // Figures to the monitor.
  std::uint32_t report_every_ms = 1'000;
  // A sign of life to a client whose request brings no tokens.
  std::uint32_t waiting_every_ms = 1'000;
  // A request whose engine crashed so often while it was on board ends failed{poison}.
  std::uint32_t poison_crashes = 3;

  // ── Remembering ────────────────────────────────────────────────────────────────────────────
  // A parked request waits so long for its client.
  std::uint32_t park_ms = 60'000;
  // A finished ledger is kept so long for resume, within the two limits below.
  std::uint32_t retain_ms = 60'000;
  std::uint32_t retain_requests = 4096;
  std::size_t retain_bytes = 64u << 20;
  // Ended requests that the audit lists.
  std::uint32_t audit_requests = 1000;

  // What is accepted is journaled first (journal.hpp).
  bool journal = false;
  // A journal that has not written a record after this has failed to.
  std::uint32_t journal_wait_ms = 10'000;

  // ── Leaving ────────────────────────────────────────────────────────────────────────────────
  // After SIGTERM open requests may run on so long.
  std::uint32_t drain_ms = 26'000;
};

}  // namespace aorta::admission
