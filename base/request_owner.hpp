#pragma once
// Whose a request is can be told from its id, by any admission, also when the one that accepted it
// is dead: the first 32 bits are a hash of the tenant and of the next 32, which are random.
#include "base/ids.hpp"

namespace aorta {

inline RequestId owned_id(RequestId drawn, std::string_view tenant) {
  const std::uint64_t random = drawn.high & 0xffff'ffff;
  return {stable_hash(tenant, random) << 32 | random, drawn.low};
}

inline bool owned_by(RequestId id, std::string_view tenant) { return owned_id(id, tenant) == id; }

}  // namespace aorta
