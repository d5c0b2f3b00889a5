// The K formats: super-blocks of 256 whose 8 blocks of 32 have integer scales. GGUF's are
//   Q4_K { f16 d; f16 dmin; u8 scales[12]; u8 pairs[128] }                 4-bit codes
//   Q5_K { f16 d; f16 dmin; u8 scales[12]; u8 fifths[32]; u8 pairs[128] }  5-bit codes
//     value (d · scale) · code - dmin · minimum, scale and minimum of 6 bits for each 32
//   Q6_K { u8 pairs[128]; u8 uppers[64]; i8 scales[16]; f16 d }            6-bit codes
//     value (d · scale) · (code - 32), scale for each 16
// d · scale and dmin · minimum are exact in float32.
#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

constexpr std::uint32_t super_columns = super_block * 32;

using PutCodes = void (*)(const std::uint8_t (&codes)[32], std::uint32_t lane, std::byte* block);
using CodeAt = std::int32_t (*)(const std::byte* block, std::uint32_t lane, std::uint32_t i);

template <std::size_t BlockBytes>
constexpr std::size_t super_bytes = super_scales_bytes + super_block* BlockBytes;

template <std::size_t BlockBytes>
std::size_t group_bytes(std::uint32_t columns) {
  return columns / super_columns * super_bytes<BlockBytes>;
}

// The twelve bytes hold 8 scales and 8 minima: the first four of each whole, in the low 6 bits,
// the other four in nibbles, their upper two bits above the first ones.
void put_sub_scales(const std::byte* twelve, std::uint32_t lane, std::byte* scales) {
  for (std::uint32_t b = 0; b < super_block; ++b, scales += sub_scales_bytes) {
    std::uint32_t scale = byte_at(twelve, b) & 63, minimum = byte_at(twelve, b + 4) & 63;
    if (b >= 4) {
      const std::uint32_t both = byte_at(twelve, b + 4);
      scale = (both & 15) | byte_at(twelve, b - 4) >> 6 << 4;
      minimum = both >> 4 | byte_at(twelve, b) >> 6 << 4;
    }
    scales[lane] = static_cast<std::byte>(scale);
    scales[lanes + lane] = static_cast<std::byte>(minimum);
  }
}

// Q4_K and Q5_K: a byte of `pairs` holds columns of blocks 2n (low) and 2n + 1 (high); bit b of a
// byte of `fifths`, if there are any, is of block b.
template <std::size_t BlockBytes, PutCodes Put>
void pack_with_minimum(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  constexpr bool five = BlockBytes == five_block_bytes;
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    const std::byte* source = rows[lane];
    std::byte* to = group;
    for (std::uint32_t n = columns / super_columns; n > 0; --n, to += super_bytes<BlockBytes>) {
      std::memcpy(to + 2 * lane, source, 2);
      std::memcpy(to + 32 + 2 * lane, source + 2, 2);
      to[32 + 2 * lane + 1] ^= std::byte{0x80};  // kept as -dmin
      put_sub_scales(source + 4, lane, to + scales_bytes);
      const std::byte *fifths = source + 16, *pairs = fifths + (five ? 32 : 0);
      for (std::uint32_t b = 0; b < super_block; ++b) {
        std::uint8_t codes[32];
        for (std::uint32_t i = 0; i < 32; ++i) {
          std::uint32_t code = byte_at(pairs, b / 2 * 32 + i) >> b % 2 * 4 & 15;
          if (five) code |= (byte_at(fifths, i) >> b & 1) << 4;
          codes[i] = static_cast<std::uint8_t>(code);
        }
        Put(codes, lane, to + super_scales_bytes + b * BlockBytes);
      }
      source = pairs + 128;
    }
  }
}

template <std::size_t BlockBytes, CodeAt At>
void unpack_with_minimum(const std::byte* group, std::uint32_t lane, std::uint32_t columns,
                         float* out) {
  for (; columns > 0; columns -= super_columns, group += super_bytes<BlockBytes>) {
    for (std::uint32_t b = 0; b < super_block; ++b) {
      const std::byte* scales = group + scales_bytes + b * sub_scales_bytes;
      const float d = half_at(group, lane) * static_cast<float>(byte_at(scales, lane));
      const float m = half_at(group + 32, lane) * static_cast<float>(byte_at(scales, lanes + lane));
      const std::byte* block = group + super_scales_bytes + b * BlockBytes;
      for (std::uint32_t i = 0; i < 32; ++i) {
        *out++ = d * static_cast<float>(At(block, lane, i)) + m;  // d · code is exact
      }
    }
  }
}

// Two halves of 128 columns, four blocks each: { u8 pairs[64] } and { u8 uppers[32] }. Column i of
// its block t is in pairs[t % 2 · 32 + i], low for t < 2, and in bits 2t, 2t+1 of uppers[i].
void pack_q6_k(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    const std::byte* source = rows[lane];
    std::byte* to = group;
    for (std::uint32_t n = columns / super_columns; n > 0; --n, source += 210) {
      std::memcpy(to + 2 * lane, source + 208, 2);
      for (std::uint32_t s = 0; s < 16; ++s) to[scales_bytes + s * 16 + lane] = source[192 + s];
      for (std::uint32_t b = 0; b < super_block; ++b) {
        const std::uint32_t half = b / 4, t = b % 4;
        const std::byte *pairs = source + half * 64 + t % 2 * 32,
                        *uppers = source + 128 + half * 32;
        std::uint8_t codes[32];
        for (std::uint32_t i = 0; i < 32; ++i) {
          codes[i] = static_cast<std::uint8_t>((byte_at(pairs, i) >> t / 2 * 4 & 15) |
                                               (byte_at(uppers, i) >> 2 * t & 3) << 4);
        }
        put_sixes(codes, lane, to + super_scales_bytes + b * six_block_bytes);
      }
      to += super_bytes<six_block_bytes>;
    }
  }
}

void unpack_q6_k(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (; columns > 0; columns -= super_columns, group += super_bytes<six_block_bytes>) {
    for (std::uint32_t i = 0; i < super_columns; ++i) {
      const auto scale =
          static_cast<std::int8_t>(byte_at(group + scales_bytes, i / 16 * 16 + lane));
      const std::byte* block = group + super_scales_bytes + i / 32 * six_block_bytes;
      *out++ = half_at(group, lane) * static_cast<float>(scale) *
               static_cast<float>(six_at(block, lane, i % 32) - 32);
    }
  }
}

}  // namespace

const WeightFormat format_q4_k = {WeightType::q4_k,
                                  "Q4_K",
                                  super_columns,
                                  144,
                                  true,
                                  group_bytes<nibble_block_bytes>,
                                  pack_with_minimum<nibble_block_bytes, put_nibbles>,
                                  unpack_with_minimum<nibble_block_bytes, nibble_at>};
const WeightFormat format_q5_k = {WeightType::q5_k,
                                  "Q5_K",
                                  super_columns,
                                  176,
                                  true,
                                  group_bytes<five_block_bytes>,
                                  pack_with_minimum<five_block_bytes, put_fives>,
                                  unpack_with_minimum<five_block_bytes, five_at>};
const WeightFormat format_q6_k = {
    WeightType::q6_k, "Q6_K",     super_columns, 210, true, group_bytes<six_block_bytes>,
    pack_q6_k,        unpack_q6_k};

}  // namespace aorta::engine::cpu
