// What others see of the executor: metrics and its part of the audit.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "actors/executor/executor.hpp"
#include "actors/lost_reasons.hpp"

namespace aorta::executor {

using actors::counter;
using actors::gauge;
using actors::label;
using mesh::FigureKind;

namespace {

template <class Runs>
std::size_t unacknowledged(const Runs& runs) {
  std::size_t count = 0;
  for (const auto& [id, run] : runs) count += run.sender.unacknowledged();
  return count;
}

}  // namespace

std::vector<mesh::Figure> Executor::figures() const {
  std::vector<mesh::Figure> figures{
      {"aorta_executor_slots", "", double(load_.slots_total)},
      {"aorta_executor_running", "", double(slots_used())},
      {"aorta_executor_finished_unacked", "", double(runs_.size() - slots_used())},
      {"aorta_executor_waiting", "", double(load_.waiting)},
      {"aorta_executor_blocks", "", double(load_.blocks_total)},
      {"aorta_executor_blocks_used", "", double(load_.blocks_used)},
      {"aorta_executor_blocks_cached", "", double(load_.blocks_cached)},
      {"aorta_executor_unacked_tokens", "", double(unacknowledged(runs_))},
      {"aorta_executor_step_seconds", "", pace_.median_step_us() * 1e-6},
      {"aorta_executor_prefill_tokens_per_second", "", double(pace_.prefill_per_second())},
      {"aorta_executor_turns_total", "", double(turns_), FigureKind::counter},
      {"aorta_executor_started_total", "", double(started_total_), FigureKind::counter},
      {"aorta_executor_generated_tokens_total", "", double(generated_total_), FigureKind::counter},
      {"aorta_executor_prefill_tokens_total", "", double(prefill_total_), FigureKind::counter},
      {"aorta_executor_preempted_total", "", double(preempted_total_), FigureKind::counter},
      {"aorta_executor_resent_total", "", double(resent_total_), FigureKind::counter},
  };
  actors::append_by_reason(figures, "aorta_executor_declined_total", declined_total_);
  for (mesh::Figure& figure : model_figures()) figures.push_back(std::move(figure));
  return figures;
}

// vLLM's names, once the model is known.
std::vector<mesh::Figure> Executor::model_figures() const {
  if (info_.model_id.empty()) return {};
  const std::string of_model = label("model_name", info_.model_id);
  const double used = load_.blocks_total == 0 ? 0 : double(load_.blocks_used) / load_.blocks_total;
  std::vector<mesh::Figure> figures{
      gauge("vllm:kv_cache_usage_perc", of_model, used),
      gauge("vllm:gpu_cache_usage_perc", of_model, used),
      counter("vllm:num_preemptions_total", of_model, double(preempted_total_)),
      counter("vllm:prefix_cache_queries_total", of_model, double(asked_tokens_total_)),
      counter("vllm:prefix_cache_hits_total", of_model, double(cached_tokens_total_)),
      counter("vllm:spec_decode_num_draft_tokens_total", of_model, double(drafted_total_)),
      counter("vllm:spec_decode_num_accepted_tokens_total", of_model, double(drafts_kept_total_)),
  };
  step_tokens_.append_to(figures, "vllm:iteration_tokens_total", of_model);
  return figures;
}

void Executor::claim(actors::Claims& claims) const {
  const std::string& name = self().self.name;
  claims.executors.push_back({name, slots_used(), load_.slots_used, load_.blocks_used});
  for (const auto& [id, run] : runs_) {
    claims.runs.push_back({run.sender.key(), name, run.sender.finished()});
  }
}

// Balanced: the engine holds what runs or is being stopped, and no block without a sequence.
std::string Executor::audit_json(TimePoint now) const {
  nlohmann::json runs = nlohmann::json::array();
  for (const auto& [id, run] : runs_) {
    runs.push_back({{"request", id.to_string()},
                    {"epoch", run.sender.key().epoch.value},
                    {"admission", run.admission.name},
                    {"next", run.sender.next().value},
                    {"finished", run.sender.finished()},
                    {"unacked", run.sender.unacknowledged()},
                    {"lease_ms", to_ms(run.lease_until - now)}});
  }
  const bool balanced = load_.slots_used <= slots_used() + stops_pending_ &&
                        (load_.slots_used > 0 || load_.blocks_used == 0);
  return nlohmann::json{{"service", "executor"},
                        {"name", self().self.name},
                        {"slots_total", load_.slots_total},
                        {"slots_used", slots_used()},
                        {"engine_slots_used", load_.slots_used},
                        {"blocks_total", load_.blocks_total},
                        {"blocks_used", load_.blocks_used},
                        {"blocks_cached", load_.blocks_cached},
                        {"in_flight", runs_.size()},
                        {"unacked_tokens", unacknowledged(runs_)},
                        {"runs", runs},
                        {"balanced", balanced}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace aorta::executor
