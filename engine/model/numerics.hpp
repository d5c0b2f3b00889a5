#pragma once
// numerics_id: what two engines must share for their streams to be identical.
#include <string>
#include <string_view>

#include "engine/model/decoder.hpp"

namespace aorta::engine {

// A hash over the weights' digest and the logits of a fixed prompt of 8 ids, measured on the
// model as it runs here; 32 hex digits. Computes the prompt whole, in two chunks, and as 7 ids and
// a decode, in different KV blocks, and aborts when they differ in a bit: this engine would then
// break its promise. Uses KV blocks 0 and 1 while nothing runs.
std::string measure_numerics_id(Decoder& model, std::string_view weights_digest);

}  // namespace aorta::engine
