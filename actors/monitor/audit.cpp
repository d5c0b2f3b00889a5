#include "actors/monitor/audit.hpp"

#include "actors/monitor/balance.hpp"

namespace aorta::monitor {
namespace {

using nlohmann::json;

json to_json(const Balance& balance, const std::map<std::string, json>& replies) {
  json services = json::array();
  for (const auto& [name, reply] : replies) services.push_back(reply);
  return {{"balanced", balance.problems.empty()},
          {"problems", balance.problems},
          {"figures", balance.figures},
          {"services", services}};
}

}  // namespace

void Monitor::begin_audit_round(Audit& audit, TimePoint now, mesh::Outbox& out) {
  audit.round_token = ++audit_tokens_;
  audit.round_until = now + options_.audit_round;
  audit.awaited.clear();
  audit.replies.clear();
  for (const mesh::Member& member : fleet_.members()) {
    const std::string& name = member.self.name;
    if (member.state == mesh::ServiceState::dead || name == self().self.name) continue;
    audit.awaited.insert(name);
    // One that has not found us yet, or not in this life, is missed and reported as silent.
    const mesh::Peering::Peer* peer = peering_.find(name);
    if (peer && peer->self == member.self) {
      out.send(peer->self, mesh::AuditRequest{audit.round_token});
    }
  }
  if (audit.awaited.empty()) finish_audit_round(audit, now, out);
}

void Monitor::on_audit_reply(const mesh::PeerId& from, const mesh::AuditReply& reply, TimePoint now,
                             mesh::Outbox& out) {
  for (Audit& audit : audits_) {
    if (audit.round_token != reply.token || audit.awaited.erase(from.name) == 0) continue;
    audit.replies[from.name] = json::parse(reply.json, nullptr, false);
    if (audit.awaited.empty()) finish_audit_round(audit, now, out);
  }
  std::erase_if(audits_, [](const Audit& audit) { return audit.answered; });
}

void Monitor::finish_audit_round(Audit& audit, TimePoint now, mesh::Outbox& out) {
  const std::vector<std::string> silent(audit.awaited.begin(), audit.awaited.end());
  Balance balance = check_balance(audit.replies, silent);
  if (fleet_.members().empty()) {
    balance.problems.push_back("the monitor does not hear the scheduler");
  }
  const bool balanced = balance.problems.empty();
  if (!balanced && now + options_.audit_apart < audit.deadline) {
    audit.round_token = 0;
    audit.round_until = now + options_.audit_apart;
    return;
  }
  const json text = to_json(balance, audit.replies);
  answer({audit.tool, audit.token}, balanced ? 0 : 1,
         text.dump(-1, ' ', false, json::error_handler_t::replace), out);
  audit.answered = true;
}

void Monitor::tick_audits(TimePoint now, mesh::Outbox& out) {
  for (Audit& audit : audits_) {
    if (now < audit.round_until) continue;
    if (audit.round_token == 0) {
      begin_audit_round(audit, now, out);
    } else {
      finish_audit_round(audit, now, out);
    }
  }
  std::erase_if(audits_, [](const Audit& audit) { return audit.answered; });
}

}  // namespace aorta::monitor
