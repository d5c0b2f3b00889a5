#pragma once
// How weights lie in a pack (sizes: kernels.hpp). 16 outputs form a group, and a group is one
// stream, in the order the kernels read it, its codes at the bits GGUF gave them:
//   Q4_1, Q5_1   [columns/32]{ codes, f16 d[16], f16 m[16] }
//   Q4_0, Q5_0   [columns/64]{ f16 d[2][16], [2]{ codes } }
//   Q8_0         [columns/64]{ f16 d[2][16], [2]{ [8][16][4] codes + 128 } }
//   Q4_K, Q5_K   [columns/256]{ f16 d[16], f16 -dmin[16], [8]{ u8 scale[16], u8 minimum[16] },
//                               [8]{ codes } }
//   Q6_K         [columns/256]{ f16 d[16], 32 zeros, i8 scales[16][16], [8]{ codes } }
//   F16, BF16, F32   [columns][16]
// Codes of 4, 5 and 6 bits: code_layout.hpp. A last odd block of 32 keeps room for two
// scales. Groups are padded to 64 bytes and the last one with zero outputs.
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/backend.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

// One per type, in its own file. To add a format: its numbers and conversions here, its kernel in
// matmul_*.hpp and in the tables of kernels_*.cpp.
struct WeightFormat {
  WeightType type;
  const char* name;
  std::uint32_t block_elements;  // columns are a multiple of it
  std::uint32_t block_bytes;     // of a block in GGUF
  bool quantised;                // activations are quantised to int8 to meet it
  std::size_t (*group_bytes)(std::uint32_t columns);
  // From 16 rows of GGUF blocks (nullptr: a row that does not exist) to a zeroed group.
  void (*pack_group)(const std::byte* const* rows, std::uint32_t columns, std::byte* group);
  // One output's weights as floats.
  void (*unpack_row)(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out);
};

extern const WeightFormat format_f32, format_f16, format_bf16, format_q4_0, format_q4_1,
    format_q5_0, format_q5_1, format_q8_0, format_q4_k, format_q5_k, format_q6_k;

// nullptr: a ggml_type that this build has no kernels for.
const WeightFormat* find_weight_format(std::uint32_t ggml_type);
std::string supported_weight_types();  // "F32, F16, ..."

std::size_t packed_bytes(const WeightFormat& format, std::uint32_t rows, std::uint32_t columns);

}  // namespace aorta::engine::cpu
