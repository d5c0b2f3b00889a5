#pragma once
// Block names one by one, as a sequence grows (name_blocks in engine/engine.hpp names a whole one).
#include <span>

#include "engine/engine.hpp"

namespace aorta::engine {

// What stands before the first block of a chain.
inline BlockName chain_of(std::uint64_t salt) { return {salt, 0}; }

// The name of a block of these ids after the block named `before`.
BlockName name_after(const BlockName& before, std::span<const TokenId, block_tokens> ids);

}  // namespace aorta::engine
