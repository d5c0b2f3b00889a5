#pragma once
// What a pack remembers of the GGUF file it was made from.
#include <span>
#include <string>

#include "base/result.hpp"
#include "engine/model/pack_format.hpp"

namespace aorta::engine {

// Size, time of change and path of a file, without its digest. Errors: not_found, io.
Result<PackSource> stat_source(const std::string& gguf_path);

bool same_file(const PackSource& a, const PackSource& b);  // all but the digest

void digest_source(std::span<const std::byte> content, PackSource& source);
std::string digest_hex(const PackSource& source);

}  // namespace aorta::engine
