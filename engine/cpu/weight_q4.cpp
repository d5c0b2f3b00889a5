// 4-bit weights. GGUF's blocks of 32: Q4_0 { f16 d; u8 pairs[16] }, value d · (code - 8);
// Q4_1 { f16 d; f16 m; u8 pairs[16] }, value d · code + m.
#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

// GGUF pairs columns as we do, so words are copied whole.
void pack_pairs(const std::byte* pairs, std::uint32_t lane, std::byte* block) {
  for (std::size_t j = 0; j < 4; ++j) std::memcpy(block + j * 64 + lane * 4, pairs + j * 4, 4);
}

using Q4_0 = ScalePairs<nibble_block_bytes>;

void pack_q4_0(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (std::size_t b = 0; b < columns / 32; ++b) {
      const std::byte* source = rows[lane] + b * 18;
      std::memcpy(group + Q4_0::scales_at(b) + lane * 2, source, 2);
      pack_pairs(source + 2, lane, group + Q4_0::codes_at(b));
    }
  }
}

void unpack_q4_0(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (std::size_t b = 0; b < columns / 32; ++b) {
    const float d = half_at(group + Q4_0::scales_at(b), lane);
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(nibble_at(group + Q4_0::codes_at(b), lane, i) - 8);
    }
  }
}

constexpr std::size_t q4_1_block_bytes = nibble_block_bytes + scales_bytes;

std::size_t q4_1_group_bytes(std::uint32_t columns) { return columns / 32 * q4_1_block_bytes; }

void pack_q4_1(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    std::byte* block = group;
    for (std::size_t b = 0; b < columns / 32; ++b, block += q4_1_block_bytes) {
      const std::byte* source = rows[lane] + b * 20;
      std::memcpy(block + nibble_block_bytes + lane * 2, source, 2);
      std::memcpy(block + nibble_block_bytes + 32 + lane * 2, source + 2, 2);
      pack_pairs(source + 4, lane, block);
    }
  }
}

void unpack_q4_1(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (std::size_t b = 0; b < columns / 32; ++b, group += q4_1_block_bytes) {
    const float d = half_at(group + nibble_block_bytes, lane),
                m = half_at(group + nibble_block_bytes + 32, lane);
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(nibble_at(group, lane, i)) + m;  // d · code is exact
    }
  }
}

}  // namespace

const WeightFormat format_q4_0 = {WeightType::q4_0,  "Q4_0",    32,         18, true,
                                  Q4_0::group_bytes, pack_q4_0, unpack_q4_0};
const WeightFormat format_q4_1 = {WeightType::q4_1, "Q4_1",    32,         20, true,
                                  q4_1_group_bytes, pack_q4_1, unpack_q4_1};

}  // namespace aorta::engine::cpu
