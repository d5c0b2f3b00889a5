#pragma once
// GGUF from bytes in memory: what GgufFile::open does after mapping, and what fuzzers call.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"
#include "engine/model/gguf.hpp"

namespace aorta::engine {

// `bytes` must outlive the result, which holds `owner` to see to that; `path` names it in errors.
Result<std::shared_ptr<const GgufFile>> parse_gguf(std::span<const std::byte> bytes,
                                                   const std::string& path,
                                                   std::shared_ptr<const void> owner = nullptr);

}  // namespace aorta::engine
