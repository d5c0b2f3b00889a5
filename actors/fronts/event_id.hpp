#pragma once
// The `id:` of a server-sent event, which a client gives back as Last-Event-ID: of each choice the
// index of the next token, and the hash of those before it.
//
//   event-id = part *( "," part )
//   part     = index [ "+" ] [ "-" hash ]     +: the text that came at the end, without tokens, too
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/admission/client.hpp"

namespace aorta::fronts {

std::string event_id_part(const admission::Cursor& cursor);
std::optional<std::vector<admission::Cursor>> parse_event_id(std::string_view text);

}  // namespace aorta::fronts
