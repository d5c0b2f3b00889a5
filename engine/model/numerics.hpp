#pragma once
// numerics_id: what two engines must share for their streams to be identical.
#include <string>
#include <string_view>

#include "engine/model/decoder.hpp"

namespace aorta::engine {

// What the backend must have for it, whatever else it is for.
inline constexpr std::uint32_t numerics_rows = 11, numerics_blocks = 2;

// A hash over the weights' digest and the logits of a fixed prompt of 8 ids, measured on the
// model as it runs here; 32 hex digits. Computes the prompt whole beside its first 3 ids in another
// KV block, then the other 5 there, then the 8th once more as a decode, and aborts when any two
// differ in a bit: this engine would then break its promise. So the weights are read three times.
// Uses KV blocks 0 and 1 while nothing runs.
std::string measure_numerics_id(Decoder& model, std::string_view weights_digest);

}  // namespace aorta::engine
