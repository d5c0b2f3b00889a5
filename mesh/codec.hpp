#pragma once
// Messages between services as bytes. A body is a msgpack array of the message's fields() in that
// order; structs within it are arrays too, a RequestId is 16 bytes big endian, enums are integers.
// decode() takes any bytes: it answers a message or an error, whatever they are.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "mesh/messages.hpp"

namespace aorta::mesh {

// First frame of every message on every socket, the clients' included.
inline constexpr std::string_view frame_magic = "AOR1";

std::uint16_t number_of(const Message& message);
// The type frame: the number in two bytes, big endian.
std::string encode_type(const Message& message);
std::string encode_body(const Message& message);

// Errors: corrupt (and which field is wrong), or unsupported for a number this build doesn't know.
Result<Message> decode(std::uint16_t number, std::string_view body);
Result<Message> decode(std::string_view type_frame, std::string_view body);

}  // namespace aorta::mesh
