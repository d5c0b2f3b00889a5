#pragma once
#include <cstdint>
#include <span>

#include "engine/model/pack_format.hpp"

namespace aorta::engine {

// What PackHeader::header_checksum must be.
std::uint64_t header_checksum(PackHeader header, std::span<const PackEntry> entries);

}  // namespace aorta::engine
