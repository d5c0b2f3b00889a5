#pragma once
// What of a record the journal's file keeps as bytes of its own.
#include <optional>
#include <span>
#include <string>

#include "actors/admission/journal.hpp"

namespace aorta::admission {

std::string bytes_of(RequestId request);
std::optional<RequestId> request_of_bytes(std::string_view bytes);
std::string bytes_of(std::span<const TokenId> ids);
std::optional<std::vector<TokenId>> ids_of_bytes(std::string_view bytes);
// All but request, life, choices, tenant, model, prompt and times. CBOR, a map: of names that are
// missing the defaults are taken, unknown ones are skipped.
std::string parameters_of(const JournalRecord& record);
bool read_parameters(std::string_view bytes, JournalRecord& record);
std::string bytes_of(const Outcome& outcome);
std::optional<Outcome> outcome_of_bytes(std::string_view bytes);

}  // namespace aorta::admission
