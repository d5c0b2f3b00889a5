// 5-bit weights. GGUF's blocks of 32: Q5_0 { f16 d; u32 fifths; u8 pairs[16] }, value
// d · (code - 16); Q5_1 { f16 d; f16 m; u32 fifths; u8 pairs[16] }, value d · code + m. Bit i of
// `fifths` is the fifth of column i.
#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

// From { u32 fifths; u8 pairs[16] }.
void put_block(const std::byte* source, std::uint32_t lane, std::byte* block) {
  std::uint32_t fifths;
  std::memcpy(&fifths, source, 4);
  std::uint8_t codes[32];
  for (std::uint32_t i = 0; i < 16; ++i) {
    const std::uint32_t pair = byte_at(source + 4, i);
    codes[i] = static_cast<std::uint8_t>((pair & 15) | (fifths >> i & 1) << 4);
    codes[16 + i] = static_cast<std::uint8_t>(pair >> 4 | (fifths >> (16 + i) & 1) << 4);
  }
  put_fives(codes, lane, block);
}

using Q5_0 = ScalePairs<five_block_bytes>;

void pack_q5_0(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (std::size_t b = 0; b < columns / 32; ++b) {
      const std::byte* source = rows[lane] + b * 22;
      std::memcpy(group + Q5_0::scales_at(b) + lane * 2, source, 2);
      put_block(source + 2, lane, group + Q5_0::codes_at(b));
    }
  }
}

void unpack_q5_0(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (std::size_t b = 0; b < columns / 32; ++b) {
    const float d = half_at(group + Q5_0::scales_at(b), lane);
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(five_at(group + Q5_0::codes_at(b), lane, i) - 16);
    }
  }
}

constexpr std::size_t q5_1_block_bytes = five_block_bytes + scales_bytes;

std::size_t q5_1_group_bytes(std::uint32_t columns) { return columns / 32 * q5_1_block_bytes; }

void pack_q5_1(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    std::byte* block = group;
    for (std::size_t b = 0; b < columns / 32; ++b, block += q5_1_block_bytes) {
      const std::byte* source = rows[lane] + b * 24;
      put_block(source + 4, lane, block);
      std::memcpy(block + five_block_bytes + lane * 2, source, 2);
      std::memcpy(block + five_block_bytes + 32 + lane * 2, source + 2, 2);
    }
  }
}

void unpack_q5_1(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (std::size_t b = 0; b < columns / 32; ++b, group += q5_1_block_bytes) {
    const std::byte* scales = group + five_block_bytes;
    const float d = half_at(scales, lane), m = half_at(scales + 32, lane);
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(five_at(group, lane, i)) + m;  // d · code is exact
    }
  }
}

}  // namespace

const WeightFormat format_q5_0 = {WeightType::q5_0,  "Q5_0",    32,         22, true,
                                  Q5_0::group_bytes, pack_q5_0, unpack_q5_0};
const WeightFormat format_q5_1 = {WeightType::q5_1, "Q5_1",    32,         24, true,
                                  q5_1_group_bytes, pack_q5_1, unpack_q5_1};

}  // namespace aorta::engine::cpu
