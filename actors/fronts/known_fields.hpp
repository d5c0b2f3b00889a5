#pragma once
// Every field of a request that Aorta knows: OpenAI's two references and vLLM's extensions, one row
// each. docs/protocol.md shows this table.
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "actors/fronts/fields.hpp"

namespace aorta::fronts {

enum class Where : std::uint8_t { both, chat, completion };

enum class Fate : std::uint8_t {
  honoured,  // read elsewhere: request_parser.cpp and its helpers
  taken,     // asks for nothing that changes an answer here
  refused,   // would change the answer and cannot yet: a 400, unless null, empty or its default
};

struct KnownField {
  std::string_view name;
  Where where = Where::both;
  Fate fate = Fate::honoured;
  std::vector<nlohmann::json> defaults;  // values of a refused one that ask for nothing
};
std::span<const KnownField> known_fields();

// Of what the parsers have not read: marks the taken ones as known, and makes an error of a refused
// one that asks for something. Any other field stays unknown.
void settle_known_fields(Fields& fields, Where endpoint);

}  // namespace aorta::fronts
