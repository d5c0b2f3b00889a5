// A block's name: XXH3 128 of the name before it and its ids. Names travel and outlive
// processes, so ids are hashed as little-endian 32-bit numbers.
#include "engine/kv/block_name.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>

namespace aorta::engine {

BlockName name_after(const BlockName& before, std::span<const TokenId, block_tokens> ids) {
  struct Link {
    BlockName before;
    std::array<TokenId, block_tokens> ids;
  };
  static_assert(sizeof(Link) == sizeof(BlockName) + block_tokens * sizeof(TokenId));
  Link link = {before, {}};
  std::copy(ids.begin(), ids.end(), link.ids.begin());
  const XXH128_hash_t hash = XXH3_128bits(&link, sizeof(link));
  return {hash.low64, hash.high64};
}

std::vector<BlockName> name_blocks(std::uint64_t salt, std::span<const TokenId> ids) {
  std::vector<BlockName> names;
  names.reserve(ids.size() / block_tokens);
  BlockName name = chain_of(salt);
  for (; ids.size() >= block_tokens; ids = ids.subspan(block_tokens)) {
    names.push_back(name = name_after(name, ids.first<block_tokens>()));
  }
  return names;
}

}  // namespace aorta::engine
