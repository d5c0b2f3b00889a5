#pragma once
// The audit's part of an admission: what was accepted equals what ended and what is open, counted
// in two ways; and the latest requests one by one, with their epochs.
#include <deque>
#include <string>
#include <vector>

#include "actors/admission/request_table.hpp"
#include "actors/admission/shedding.hpp"
#include "actors/admission/tally.hpp"

namespace aorta::admission {

// What stays of a request when its ledger is forgotten: no prompt and no text.
struct AuditRecord {
  RequestId id;
  std::uint32_t choice = 0, choices = 1;
  std::string tenant;
  mesh::Tier tier{};
  std::string state;  // a phase; of the ended the outcome
  std::string code;   // of a failure
  std::string message;
  std::uint32_t prompt_tokens = 0, tokens = 0;
  Epoch epoch;
  std::vector<EpochRecord> epochs;
};
AuditRecord record_of(const Request& request);
// Of all choices of a request: {id, choices: [record…]}; of the only one its record.
std::string to_json(const std::vector<AuditRecord>& choices);

struct AuditInput {
  const mesh::PeerId& self;
  const Tally& tally;
  const Shedding& shedding;
  const RequestTable& table;
  const std::deque<AuditRecord>& ended;  // the latest
};
// {service, name, incarnation, balanced, problems, accepted, rejected, ended, open, …, requests}
std::string audit_json(const AuditInput& input);

}  // namespace aorta::admission
