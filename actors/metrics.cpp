#include "actors/metrics.hpp"

#include <array>
#include <string>
#include <unordered_map>

namespace aorta::actors {
namespace {

using enum MetricKind;

constexpr std::string_view admission = "admission", scheduler = "scheduler", executor = "executor",
                           cache = "cache", node = "node", monitor = "monitor", all = "all";

constexpr Metric table[] = {
    // ── Requests, as admission sees them ─────────────────────────────────────────────────────
    {admission, "aorta_requests_accepted_total", counter, "requests", "",
     "Requests accepted; each choice of one is counted."},
    {admission, "aorta_requests_recovered_total", counter, "requests", "",
     "Requests known again from the journal, after a restart."},
    {admission, "aorta_requests_rejected_total", counter, "requests", "reason",
     "Requests refused, by the code that the client was told."},
    {admission, "aorta_requests_ended_total", counter, "requests", "outcome",
     "Accepted requests that have ended, by how."},
    {admission, "aorta_requests_open", gauge, "requests", "state tier",
     "Requests that have not ended, by where they are."},
    {admission, "aorta_requests_oldest_wait_seconds", gauge, "seconds", "",
     "How long the request that waits longest for its first executor has waited."},
    {admission, "aorta_tokens_generated_total", counter, "tokens", "",
     "Tokens appended to answers; none counts twice, however often it was computed."},
    {admission, "aorta_time_to_first_token_seconds", histogram, "seconds", "tier",
     "From a request's arrival to its first token."},
    {admission, "aorta_inter_token_seconds", histogram, "seconds", "",
     "Between two tokens of an answer."},
    {admission, "aorta_epochs_total", counter, "epochs", "",
     "Lives of requests on executors that were begun."},
    {admission, "aorta_epochs_lost_total", counter, "epochs", "reason",
     "Lives that brought no end and were followed by another."},
    {admission, "aorta_token_gaps_total", counter, "gaps", "",
     "Gaps in executors' token streams, each asked for again."},
    {admission, "aorta_token_runs_stale_total", counter, "runs", "",
     "Runs of tokens of a past life or an unknown request, dropped."},
    {admission, "aorta_ledgers_retained", gauge, "requests", "",
     "Ended requests whose answers can still be resumed."},
    {admission, "aorta_ledgers_retained_bytes", gauge, "bytes", "", "What those answers hold."},
    {admission, "aorta_idempotency_keys", gauge, "keys", "", "Idempotency keys remembered."},
    {admission, "aorta_journal_entries", gauge, "requests", "", "Requests that the journal keeps."},
    {admission, "aorta_journal_writes_total", counter, "requests", "",
     "Requests written to the journal."},
    {admission, "aorta_journal_failures_total", counter, "requests", "",
     "Requests refused because the journal could not be written."},
    {admission, "aorta_journal_write_seconds", histogram, "seconds", "",
     "From a request's being taken to its being written, or failing to be."},
    {admission, "aorta_connections_subscribed", gauge, "connections", "",
     "Client connections that wait for answers."},
    // ── The fronts ───────────────────────────────────────────────────────────────────────────
    {admission, "aorta_http_connections", gauge, "connections", "", "Open HTTP connections."},
    {admission, "aorta_http_streams", gauge, "requests", "",
     "HTTP requests that are being answered."},
    {admission, "aorta_http_connections_total", counter, "connections", "",
     "HTTP connections accepted."},
    {admission, "aorta_http_connections_refused_total", counter, "connections", "",
     "HTTP connections closed at once for want of places."},
    {admission, "aorta_http_requests_total", counter, "requests", "", "HTTP requests read."},
    {admission, "aorta_http_errors_total", counter, "responses", "",
     "HTTP responses with a status of 400 or more."},
    {admission, "aorta_http_unauthorized_total", counter, "requests", "",
     "HTTP requests without a valid API key."},
    {admission, "aorta_zmq_clients", gauge, "clients", "", "ZeroMQ clients known."},
    {admission, "aorta_zmq_streams", gauge, "requests", "",
     "ZeroMQ requests that are being answered."},
    {admission, "aorta_zmq_requests_total", counter, "requests", "", "ZeroMQ requests read."},
    {admission, "aorta_zmq_garbage_total", counter, "messages", "",
     "ZeroMQ messages that were none of ours."},
    {admission, "aorta_zmq_clients_lost_total", counter, "clients", "",
     "ZeroMQ clients that were gone in the middle of an answer."},
    {admission, "aorta_zmq_unauthorized_total", counter, "requests", "",
     "ZeroMQ requests without a valid API key."},
    // ── vLLM's names, for dashboards and autoscalers that know them ──────────────────────────
    {admission, "vllm:num_requests_running", gauge, "requests", "model_name",
     "Requests placed on an executor."},
    {admission, "vllm:num_requests_waiting", gauge, "requests", "model_name",
     "Requests that wait for an executor."},
    {admission, "vllm:request_success_total", counter, "requests", "model_name finished_reason",
     "Requests that have ended: stop, length, abort (cancelled or timed out), error."},
    {admission, "vllm:prompt_tokens_total", counter, "tokens", "model_name",
     "Tokens of prompts that were computed, those of a repeated computation once."},
    {admission, "vllm:generation_tokens_total", counter, "tokens", "model_name",
     "Tokens generated; none counts twice."},
    {admission, "vllm:request_prompt_tokens", histogram, "tokens", "model_name",
     "Prompt tokens of ended requests."},
    {admission, "vllm:request_generation_tokens", histogram, "tokens", "model_name",
     "Generated tokens of ended requests."},
    {admission, "vllm:request_params_n", histogram, "choices", "model_name",
     "Parameter n of accepted requests."},
    {admission, "vllm:request_params_max_tokens", histogram, "tokens", "model_name",
     "Parameter max_tokens of accepted requests, the default where none was sent."},
    {admission, "vllm:time_to_first_token_seconds", histogram, "seconds", "model_name",
     "From a request's arrival to its first token."},
    {admission, "vllm:inter_token_latency_seconds", histogram, "seconds", "model_name",
     "Between two tokens of an answer."},
    {admission, "vllm:time_per_output_token_seconds", histogram, "seconds", "model_name",
     "The same as vllm:inter_token_latency_seconds, under its name before vLLM 0.11."},
    {admission, "vllm:request_time_per_output_token_seconds", histogram, "seconds", "model_name",
     "Mean time between the tokens of an answer, of ended requests."},
    {admission, "vllm:e2e_request_latency_seconds", histogram, "seconds", "model_name",
     "From a request's arrival to its end."},
    {admission, "vllm:request_queue_time_seconds", histogram, "seconds", "model_name",
     "From a request's arrival until it was placed on an executor, of ended requests."},
    {admission, "vllm:request_prefill_time_seconds", histogram, "seconds", "model_name",
     "From being placed to the first token, of ended requests."},
    {admission, "vllm:request_decode_time_seconds", histogram, "seconds", "model_name",
     "From the first token to the last, of ended requests."},
    {admission, "vllm:request_inference_time_seconds", histogram, "seconds", "model_name",
     "From being placed to the last token, of ended requests."},
    {executor, "vllm:kv_cache_usage_perc", gauge, "ratio", "model_name",
     "Share of the executor's KV blocks in use; 1 is all."},
    {executor, "vllm:gpu_cache_usage_perc", gauge, "ratio", "model_name",
     "The same as vllm:kv_cache_usage_perc, under its name before vLLM 0.9."},
    {executor, "vllm:num_preemptions_total", counter, "requests", "model_name",
     "Requests sent back to wait for want of KV blocks."},
    {executor, "vllm:prefix_cache_queries_total", counter, "tokens", "model_name",
     "Tokens of prefills begun."},
    {executor, "vllm:prefix_cache_hits_total", counter, "tokens", "model_name",
     "Of these, those whose KV was found, here or in the host's store."},
    {executor, "vllm:spec_decode_num_draft_tokens_total", counter, "tokens", "model_name",
     "Tokens guessed and computed with the one before."},
    {executor, "vllm:spec_decode_num_accepted_tokens_total", counter, "tokens", "model_name",
     "Of these, those that were chosen."},
    {executor, "vllm:iteration_tokens_total", histogram, "tokens", "model_name",
     "Prompt and generated tokens of one step of the engine."},
    // ── The scheduler ────────────────────────────────────────────────────────────────────────
    {scheduler, "aorta_scheduler_slots", gauge, "slots", "", "Slots of the ready executors."},
    {scheduler, "aorta_scheduler_slots_free", gauge, "slots", "", "Those that are free."},
    {scheduler, "aorta_scheduler_executors_ready", gauge, "executors", "",
     "Executors that can be given requests."},
    {scheduler, "aorta_scheduler_executors_coming", gauge, "executors", "",
     "Executors that start, or are wanted and not there."},
    {scheduler, "aorta_scheduler_members", gauge, "services", "", "Members of the mesh."},
    {scheduler, "aorta_scheduler_queued", gauge, "requests", "tier", "Requests in the queues."},
    {scheduler, "aorta_scheduler_running", gauge, "requests", "tier", "Requests placed."},
    {scheduler, "aorta_scheduler_hold_seconds", gauge, "seconds", "",
     "How long a request holds its slot, a moving average."},
    {scheduler, "aorta_scheduler_placed_total", counter, "requests", "", "Placements made."},
    {scheduler, "aorta_scheduler_charged_total", counter, "tokens", "",
     "What tenants were charged: each generated token once, prompt tokens at "
     "`scheduler.prompt_token_cost`; nothing for what was computed again."},
    {scheduler, "aorta_scheduler_cached_tokens_total", counter, "tokens", "",
     "Tokens of requests that were placed where they were expected in a cache."},
    {scheduler, "aorta_scheduler_closed_total", counter, "requests", "",
     "Requests that ended and were forgotten."},
    {scheduler, "aorta_scheduler_lost_total", counter, "requests", "reason",
     "Placements that were given up, by the reason."},
    {scheduler, "aorta_scheduler_orphans_stopped_total", counter, "requests", "",
     "Requests found on an executor that no admission claims, and stopped."},
    // ── Executors ────────────────────────────────────────────────────────────────────────────
    {executor, "aorta_executor_slots", gauge, "slots", "", "Slots: requests at once."},
    {executor, "aorta_executor_running", gauge, "requests", "", "Requests that hold a slot."},
    {executor, "aorta_executor_waiting", gauge, "requests", "",
     "Of these, those whose prefill has not begun."},
    {executor, "aorta_executor_finished_unacked", gauge, "requests", "",
     "Requests computed to the end whose last tokens are not acknowledged."},
    {executor, "aorta_executor_unacked_tokens", gauge, "tokens", "",
     "Tokens kept until admission acknowledges them."},
    {executor, "aorta_executor_blocks", gauge, "blocks", "", "KV blocks of 16 tokens."},
    {executor, "aorta_executor_blocks_used", gauge, "blocks", "", "Those that requests hold."},
    {executor, "aorta_executor_blocks_cached", gauge, "blocks", "",
     "Those kept for prompts that begin alike; taken when requests need them."},
    {executor, "aorta_executor_step_seconds", gauge, "seconds", "",
     "Duration of the engine's step, the median of the latest."},
    {executor, "aorta_executor_prefill_tokens_per_second", gauge, "tokens per second", "",
     "Measured speed of prefill."},
    {executor, "aorta_executor_turns_total", counter, "turns", "", "Turns of the engine."},
    {executor, "aorta_executor_started_total", counter, "requests", "", "Requests started."},
    {executor, "aorta_executor_generated_tokens_total", counter, "tokens", "",
     "Tokens generated, also those that another executor had generated and lost."},
    {executor, "aorta_executor_prefill_tokens_total", counter, "tokens", "",
     "Prompt positions computed, recomputation included."},
    {executor, "aorta_executor_preempted_total", counter, "requests", "",
     "Requests sent back to wait for want of KV blocks."},
    {executor, "aorta_executor_resent_total", counter, "messages", "",
     "Token messages sent again."},
    {executor, "aorta_executor_declined_total", counter, "requests", "reason",
     "Requests that were not taken, or given back."},
    // ── The cache ────────────────────────────────────────────────────────────────────────────
    {cache, "aorta_cache_packs", gauge, "packs", "", "Packed models known."},
    {cache, "aorta_cache_bytes", gauge, "bytes", "", "What they occupy on disk."},
    {cache, "aorta_cache_leases", gauge, "leases", "", "Executors that use one, counted per pack."},
    {cache, "aorta_cache_packing", gauge, "packs", "", "Models being packed."},
    {cache, "aorta_cache_requests_total", counter, "requests", "", "Packs asked for."},
    {cache, "aorta_cache_failures_total", counter, "requests", "", "Packs that could not be made."},
    {cache, "aorta_cache_evictions_total", counter, "packs", "", "Packs deleted for want of room."},
    {cache, "aorta_cache_kv_blocks", gauge, "blocks", "",
     "KV blocks that the file has room for in which executors share them."},
    {cache, "aorta_cache_kv_blocks_used", gauge, "blocks", "", "Those that are in it."},
    {cache, "aorta_cache_kv_bytes", gauge, "bytes", "", "What they occupy in memory."},
    {cache, "aorta_cache_kv_leases", gauge, "leases", "", "Executors that use the file."},
    {cache, "aorta_cache_kv_hits_total", counter, "blocks", "", "Blocks copied from it."},
    {cache, "aorta_cache_kv_misses_total", counter, "blocks", "",
     "Times that a block was looked for and not found."},
    {cache, "aorta_cache_kv_saves_total", counter, "blocks", "", "Blocks written to it."},
    {cache, "aorta_cache_kv_evictions_total", counter, "blocks", "",
     "Blocks overwritten by others for want of room."},
    {cache, "aorta_cache_kv_refused_total", counter, "blocks", "",
     "Blocks not written to it, since its folder is full."},
    {cache, "aorta_cache_kv_torn_total", counter, "blocks", "",
     "Blocks found that were not whole, and dropped."},
    // ── Node agents ──────────────────────────────────────────────────────────────────────────
    {node, "aorta_node_desired_executors", gauge, "executors", "",
     "Executors that this agent is to keep."},
    {node, "aorta_node_children", gauge, "processes", "", "Processes it keeps."},
    {node, "aorta_node_child_deaths_total", counter, "processes", "", "Children that have ended."},
    {node, "aorta_node_child_crashes_total", counter, "processes", "",
     "Of these, those that crashed."},
    // ── The mesh, as the monitor sees it ─────────────────────────────────────────────────────
    {monitor, "aorta_up", gauge, "", "service kind", "1 while the member is ready, else 0."},
    {monitor, "aorta_desired_executors", gauge, "executors", "",
     "Executors that there should be in all."},
    {monitor, "aorta_executors_ready", gauge, "executors", "", "Executors that are ready."},
    {monitor, "aorta_child_deaths_total", counter, "processes", "",
     "Deaths that node agents have told."},
    {monitor, "aorta_child_crashes_total", counter, "processes", "", "Of these, crashes."},
    // ── Every service ────────────────────────────────────────────────────────────────────────
    {all, "aorta_security_rejected_total", counter, "messages", "reason",
     "Peers and messages that the wire has refused; shown once there was one."},
};

}  // namespace

std::string_view name_of(MetricKind kind) {
  static constexpr std::array<std::string_view, 3> names{"counter", "gauge", "histogram"};
  return names[static_cast<std::size_t>(kind)];
}

std::span<const Metric> metrics() { return table; }

const Metric* metric_of(std::string_view sample) {
  static const auto by_sample = [] {
    std::unordered_map<std::string, const Metric*> index;
    for (const Metric& metric : table) {
      const std::string name(metric.name);
      if (metric.kind == histogram) {
        for (const char* part : {"_bucket", "_sum", "_count"}) index[name + part] = &metric;
      } else {
        index[name] = &metric;
      }
    }
    return index;
  }();
  const auto found = by_sample.find(std::string(sample));
  return found == by_sample.end() ? nullptr : found->second;
}

}  // namespace aorta::actors
