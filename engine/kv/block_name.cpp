// A block's name: XXH3 128 of the name before it and its ids. Names travel and outlive
// processes, so ids are hashed as little-endian 32-bit numbers.
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "engine/engine.hpp"

namespace aorta::engine {

std::vector<BlockName> name_blocks(std::uint64_t salt, std::span<const TokenId> ids) {
  struct Link {
    BlockName before;
    std::array<TokenId, block_tokens> ids;
  };
  static_assert(sizeof(Link) == sizeof(BlockName) + block_tokens * sizeof(TokenId));
  std::vector<BlockName> names;
  names.reserve(ids.size() / block_tokens);
  Link link = {{salt, 0}, {}};
  for (; ids.size() >= block_tokens; ids = ids.subspan(block_tokens)) {
    std::copy_n(ids.begin(), block_tokens, link.ids.begin());
    const XXH128_hash_t hash = XXH3_128bits(&link, sizeof(link));
    names.push_back(link.before = {hash.low64, hash.high64});
  }
  return names;
}

}  // namespace aorta::engine
