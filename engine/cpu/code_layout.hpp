#pragma once
// Where a group keeps the codes of one output for 32 columns. A code's low 4 bits lie in [4][16][4]
// pairs: word j of all 16 outputs side by side, so that one broadcast word of activations meets
// them all, column i low and column i + 16 high. The bits above follow, in the same order of words:
//   5-bit   [16][4] bytes: bit j of byte b is the fifth of column 4j + b
//   6-bit   [2][16][4] bytes, one for each 16 columns: bits 2j, 2j+1 of byte b are the upper two of
//           column 4j + b
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

inline std::uint32_t byte_at(const std::byte* p, std::size_t index) {
  return std::to_integer<std::uint32_t>(p[index]);
}
inline float half_at(const std::byte* p, std::size_t index) {
  std::uint16_t half;
  std::memcpy(&half, p + 2 * index, 2);
  return half_to_float(half);
}

// Formats without a minimum: before every two blocks lie their scales, f16 d[2][16] (the second of
// a last odd block is zero), so that a group is one stream and codes stay aligned.
template <std::size_t CodeBytes>
struct ScalePairs {
  static constexpr std::size_t group_bytes(std::uint32_t columns) {
    const std::size_t blocks = columns / 32;
    return blocks * CodeBytes + (blocks + 1) / 2 * scales_bytes;
  }
  static constexpr std::size_t scales_at(std::size_t block) {
    return block / 2 * (2 * CodeBytes + scales_bytes) + block % 2 * 32;
  }
  static constexpr std::size_t codes_at(std::size_t block) {
    return block * CodeBytes + (block / 2 + 1) * scales_bytes;
  }
};

// Code of column i < 32, of each width; `block` is where the group's codes for the 32 columns lie.
inline std::int32_t nibble_at(const std::byte* block, std::uint32_t lane, std::uint32_t i) {
  const std::uint32_t pair = byte_at(block, i % 16 / 4 * 64 + lane * 4 + i % 4);
  return static_cast<std::int32_t>(i < 16 ? pair & 15 : pair >> 4);
}
inline std::int32_t five_at(const std::byte* block, std::uint32_t lane, std::uint32_t i) {
  const std::uint32_t fifths = byte_at(block + nibble_block_bytes, lane * 4 + i % 4);
  return nibble_at(block, lane, i) | static_cast<std::int32_t>((fifths >> (i / 4) & 1) << 4);
}
inline std::int32_t six_at(const std::byte* block, std::uint32_t lane, std::uint32_t i) {
  const std::uint32_t uppers = byte_at(block + nibble_block_bytes, i / 16 * 64 + lane * 4 + i % 4);
  return nibble_at(block, lane, i) |
         static_cast<std::int32_t>((uppers >> (2 * (i % 16 / 4)) & 3) << 4);
}
inline std::int32_t byte_code_at(const std::byte* block, std::uint32_t lane, std::uint32_t i) {
  return static_cast<std::int32_t>(byte_at(block, i / 4 * 64 + lane * 4 + i % 4));
}

// One output's 32 codes into a zeroed block.
inline void put_nibbles(const std::uint8_t (&codes)[32], std::uint32_t lane, std::byte* block) {
  for (std::uint32_t i = 0; i < 16; ++i) {
    block[i / 4 * 64 + lane * 4 + i % 4] =
        static_cast<std::byte>((codes[i] & 15) | (codes[16 + i] & 15) << 4);
  }
}
inline void put_fives(const std::uint8_t (&codes)[32], std::uint32_t lane, std::byte* block) {
  put_nibbles(codes, lane, block);
  for (std::uint32_t i = 0; i < 32; ++i) {
    block[nibble_block_bytes + lane * 4 + i % 4] |= static_cast<std::byte>(codes[i] >> 4 << i / 4);
  }
}
inline void put_sixes(const std::uint8_t (&codes)[32], std::uint32_t lane, std::byte* block) {
  put_nibbles(codes, lane, block);
  for (std::uint32_t i = 0; i < 32; ++i) {
    block[nibble_block_bytes + i / 16 * 64 + lane * 4 + i % 4] |=
        static_cast<std::byte>(codes[i] >> 4 << 2 * (i % 16 / 4));
  }
}

}  // namespace aorta::engine::cpu
