#pragma once
// What of a request outlives its admission. The core says what to write and is told when that is
// done; who keeps it (journal_file.hpp, the simulator) hands it to the next life by recover().
//
//   generate ─▶ held ─JournalWrite─▶ written ─▶ accepted … ended ─JournalEnd─▶ … ─JournalErase─▶
//                        └─▶ failed ─▶ rejected 503
//   resume of what was carried on elsewhere since ─JournalWrite─▶ written ─▶ accepted
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/admission/request.hpp"
#include "base/lives.hpp"

namespace aorta::admission {

// One request, all its choices: whatever generates the same answer again. Times are of this life's
// clock; who keeps a record keeps them as time of day.
struct JournalRecord {
  RequestId request;
  std::uint32_t choices = 1;
  // At how many admissions it has begun anew. Its keeper adds one whenever it hands the record to
  // another life, and has that on its disk first: so no epoch is ever used twice.
  std::uint32_t life = 0;
  bool chat = true;
  std::string tenant;
  std::string model;
  std::string idempotency_key;
  std::string body_digest;
  mesh::Tier tier{};
  mesh::Determinism determinism{};
  OnDisconnect on_disconnect{};
  mesh::SamplingFields sampling;  // of the first choice
  std::optional<std::uint32_t> top_logprobs;
  std::uint32_t min_tokens = 0, max_tokens = 0;
  std::vector<TokenId> stop_ids;
  std::vector<std::string> stop_strings;
  engine::Reasoning reasoning = engine::Reasoning::never;
  std::vector<TokenId> prompt;
  TimePoint arrived{}, deadline{};
};

// How a choice ended, before its client may be told.
struct JournalEnding {
  std::uint32_t choice = 0;
  Outcome outcome;
  TokenIndex tokens;  // generated
  TimePoint at{};
};

// What the core wants done, in this order. Only the first is answered, by Admission::on_journal().
struct JournalWrite {  // of a known request: its record is replaced; answers come in this order
  JournalRecord record;
};
// The rest is about known requests; of others it does nothing.
struct JournalNumerics {
  RequestId request;
  std::uint32_t choice = 0;
  std::string numerics_id;  // of the choice's first tokens
};
struct JournalEnd {
  RequestId request;
  JournalEnding ending;
};
struct JournalErase {  // tried until it is done
  RequestId request;
};
using JournalCommand = std::variant<JournalWrite, JournalNumerics, JournalEnd, JournalErase>;

// As it was left by an earlier life.
struct JournalEntry {
  JournalRecord record;
  std::map<std::uint32_t, std::string> numerics_ids;  // by choice
  std::vector<JournalEnding> endings;
};

// What became of the entries that a life was handed.
struct Recovered {
  std::size_t known = 0;       // again
  std::size_t over = 0;        // retained for long enough, or known already
  std::size_t unservable = 0;  // their model is not served any more
  std::size_t worn_out = 0;    // begun anew so often that no number is left for another life
};

JournalRecord journal_record(const Request& first);
// The first choice, in no state yet. `model` is the record's.
std::unique_ptr<Request> request_of(JournalRecord record,
                                    std::shared_ptr<const engine::TextModel> model);

}  // namespace aorta::admission
