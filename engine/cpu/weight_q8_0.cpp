// 8-bit weights. GGUF's block of 32: { f16 d; i8 codes[32] }, value d · code. Codes are stored +
// 128, since VNNI multiplies unsigned by signed.
#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

std::size_t group_bytes(std::uint32_t columns) {
  return (columns / 32 * (byte_block_bytes + 32) + 63) / 64 * 64;
}

void pack_group(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  const std::size_t blocks = columns / 32;
  std::byte* scales = group + blocks * byte_block_bytes;
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::byte* source = rows[lane] + b * 34;
      std::memcpy(scales + b * 32 + lane * 2, source, 2);
      std::byte* codes = group + b * byte_block_bytes + lane * 4;
      for (std::size_t i = 0; i < 32; ++i) {
        codes[i / 4 * 64 + i % 4] = source[2 + i] ^ std::byte{0x80};
      }
    }
  }
}

void unpack_row(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  const std::size_t blocks = columns / 32;
  const std::byte* scales = group + blocks * byte_block_bytes;
  for (std::size_t b = 0; b < blocks; ++b) {
    const float d = half_at(scales + b * 32, lane);
    const std::byte* block = group + b * byte_block_bytes;
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(byte_code_at(block, lane, i) - 128);
    }
  }
}

}  // namespace

const WeightFormat format_q8_0 = {WeightType::q8_0, "Q8_0",     32,        34, true,
                                  group_bytes,      pack_group, unpack_row};

}  // namespace aorta::engine::cpu
