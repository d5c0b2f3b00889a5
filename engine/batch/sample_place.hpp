#pragma once
// Where one of a row's tokens is chosen: what a sampler is told of it.
#include <cstdint>
#include <span>

#include "engine/engine.hpp"

namespace aorta::engine {

struct SamplePlace {
  std::uint32_t position = 0;         // whose logits the token is chosen from
  std::span<const TokenId> ids;       // up to that position, guessed ones included
  std::uint32_t generated_index = 0;  // of the token to be chosen
  std::span<const TokenId> banned;    // the stop ids while they may not be chosen
};

// Of sample `at`, below row.samples. The last sample's place is the end of the row.
inline SamplePlace place_of(const RunnerRow& row, std::uint32_t at) {
  SamplePlace place;
  place.position = row.first + row.count - row.samples + at;
  place.ids = row.ids.first(place.position + 1);
  place.generated_index = row.generated_index + at;
  if (place.generated_index < row.min_tokens) place.banned = row.stop_ids;
  return place;
}

}  // namespace aorta::engine
