#pragma once
// What a pack remembers of the files it was made from.
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/model/pack_format.hpp"

namespace aorta::engine {

// Sizes, times of change and paths of the files of a model, without their digest. Errors:
// not_found, io, those of source_files.
Result<PackSource> stat_source(const std::string& model_path);

bool same_files(const PackSource& a, const PackSource& b);  // all but the digest

// `contents` as ModelSource has them. One file's digest is that of its bytes.
void digest_source(const std::vector<std::span<const std::byte>>& contents, PackSource& source);
std::string digest_hex(const PackSource& source);

}  // namespace aorta::engine
