// 8-bit weights. GGUF's block of 32: { f16 d; i8 codes[32] }, value d · code. Codes are stored +
// 128, since VNNI multiplies unsigned by signed.
#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

using Q8_0 = ScalePairs<byte_block_bytes>;

void pack_group(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (std::size_t b = 0; b < columns / 32; ++b) {
      const std::byte* source = rows[lane] + b * 34;
      std::memcpy(group + Q8_0::scales_at(b) + lane * 2, source, 2);
      std::byte* codes = group + Q8_0::codes_at(b) + lane * 4;
      for (std::size_t i = 0; i < 32; ++i) {
        codes[i / 4 * 64 + i % 4] = source[2 + i] ^ std::byte{0x80};
      }
    }
  }
}

void unpack_row(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  for (std::size_t b = 0; b < columns / 32; ++b) {
    const float d = half_at(group + Q8_0::scales_at(b), lane);
    const std::byte* codes = group + Q8_0::codes_at(b);
    for (std::uint32_t i = 0; i < 32; ++i) {
      out[b * 32 + i] = d * static_cast<float>(byte_code_at(codes, lane, i) - 128);
    }
  }
}

}  // namespace

const WeightFormat format_q8_0 = {WeightType::q8_0,  "Q8_0",     32,        34, true,
                                  Q8_0::group_bytes, pack_group, unpack_row};

}  // namespace aorta::engine::cpu
