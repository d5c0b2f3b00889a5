#pragma once
// How epochs are numbered. Each admission that begins a request anew, after its own restart or
// because a client carried the request to it, is another life of it. Lives fill the upper half of
// an epoch, so that all of a later life's are larger than all of the one before.
#include <cstdint>

#include "base/ids.hpp"

namespace aorta {

constexpr Epoch first_epoch(std::uint32_t life) { return Epoch{life << 16 | 1}; }
// None yet: the next one is the first of that life.
constexpr Epoch before_first_epoch(std::uint32_t life) { return Epoch{life << 16}; }
constexpr std::uint32_t life_of(Epoch epoch) { return epoch.value >> 16; }
// The next one would be another life's.
constexpr bool last_of_life(Epoch epoch) { return (epoch.value & 0xffff) == 0xffff; }

// A restart is the next life. A request that is carried elsewhere, while the admission that had it
// may still be there and may even restart, takes a large step.
inline constexpr std::uint32_t carried_step = 256;
constexpr std::uint32_t taken_over(std::uint32_t life) {
  return (life / carried_step + 1) * carried_step;
}
constexpr bool was_carried(Epoch epoch) { return life_of(epoch) >= carried_step; }
// With a life of this number or a larger one nothing is begun.
inline constexpr std::uint32_t most_lives = 0xff00;

// As clients are told: one for each epoch of this life, and one for each life before it.
constexpr std::uint32_t epochs_of(Epoch epoch) {
  const std::uint32_t life = life_of(epoch);
  return (epoch.value & 0xffff) + life / carried_step + life % carried_step;
}

}  // namespace aorta
