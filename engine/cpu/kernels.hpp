#pragma once
// What an instruction set provides: one table of functions per instruction set, compiled with that
// set's flags, chosen at run time. All tables give the same bits for the same input:
// a sum is always 16 partial sums (lane = index mod 16, ascending) and one fixed tree, a product
// into a sum is always one fma, and everything else is elementwise (docs/numerics.md).
#include <cstddef>
#include <cstdint>

namespace aorta::engine::cpu {

inline constexpr std::uint32_t lanes = 16;            // outputs of a weight group, partial sums
inline constexpr std::uint32_t quantum = 32;          // activations that share an int8 scale
inline constexpr std::uint32_t kv_block = 16;         // positions of a KV block
inline constexpr std::uint32_t attention_tile = 256;  // positions whose softmax is computed at once
inline constexpr std::uint32_t max_queries = 12;      // queries that share one pass over K and V
inline constexpr std::uint32_t max_panel_rows = 12;
inline constexpr std::uint32_t ahead_blocks = 2;  // attention fetches KV so far before its use
inline constexpr std::uint32_t max_head_size = 256;

// A group's codes for 32 columns and 16 outputs: of 4, 5, 6 and 8 bits. Beside those of Q4_1 and
// Q5_1 lie their scales and minima, before every 8 of the K formats theirs.
inline constexpr std::size_t nibble_block_bytes = 256;
inline constexpr std::size_t five_block_bytes = nibble_block_bytes + 64;
inline constexpr std::size_t six_block_bytes = nibble_block_bytes + 128;
inline constexpr std::size_t byte_block_bytes = 512;
inline constexpr std::size_t scales_bytes = 64;      // f16 d[16], f16 m[16]
inline constexpr std::uint32_t super_block = 8;      // blocks that share d and m
inline constexpr std::size_t sub_scales_bytes = 32;  // of one block: u8 or i8 [2][16]
inline constexpr std::size_t super_scales_bytes = scales_bytes + super_block * sub_scales_bytes;

// Rows of activations quantised to int8 per 32: x ≈ scale · code.
struct Panel {
  std::uint32_t rows = 0;                   // 1..panel_rows
  std::uint32_t blocks = 0;                 // columns / 32
  std::int8_t* codes = nullptr;             // [blocks][rows][32]
  float* scale = nullptr;                   // [blocks][rows]
  float* scaled_sum = nullptr;              // [blocks][rows]: scale · Σ codes, rounded once
  std::int32_t* negative_sum = nullptr;     // [blocks][rows]: -Σ codes
  std::int32_t* negative_halves = nullptr;  // [blocks][rows][2]: the same of each 16
  // Memory that a later op reads, `ahead_bytes` of it per block: a kernel that multiplies for
  // longer than it waits for its weights may fetch it on the way. Null: none.
  const std::byte* ahead = nullptr;
};
inline constexpr std::size_t ahead_bytes = 256;

// What a block's codes sum to: of its first 16 columns, and of the others.
struct CodeSums {
  std::int32_t low, high;
};

// Some of a panel: its rows first_row..end_row-1 of the blocks first_block..end_block-1.
struct Cells {
  std::uint32_t first_row, end_row, first_block, end_block;
};

// out[r · stride + lane] = the panel's row r times the 16 outputs of a packed group.
using QuantisedMatmul = void (*)(const std::byte* group, const Panel& panel, float* out,
                                 std::size_t stride);

// The same for unquantised activations: x[r · x_stride + k], `columns` of them.
struct FloatRows {
  const float* x = nullptr;
  std::size_t stride = 0;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
};
using FloatMatmul = void (*)(const std::byte* group, const FloatRows& rows, float* out,
                             std::size_t stride);

// Queries that read the same KV head of one sequence, in ascending order of `visible`.
struct AttentionJob {
  const std::uint16_t* kv = nullptr;      // the head's K in block 0; its V follows
  std::size_t block_stride = 0;           // in f16 elements
  const std::uint32_t* blocks = nullptr;  // block table of the sequence
  std::uint32_t head_size = 0;            // a multiple of 16
  float scale = 1.0f;
  std::uint32_t queries = 0;                // 1..max_queries
  const float* query[max_queries] = {};     // [head_size]
  float* out[max_queries] = {};             // [head_size]
  std::uint32_t visible[max_queries] = {};  // positions 0..visible-1
  // Several threads may each take some of the tiles (of attention_tile positions). Where `tiles` is
  // given, what comes of a tile and query is left there instead of in `out`, for merge_tiles:
  // [tile][query][head_size sums, then the largest score and the mass, to a multiple of 16].
  std::uint32_t first_tile = 0, end_tile = ~0u;  // those of this job
  float* tiles = nullptr;
  std::uint32_t tile_queries = 0;  // of `tiles`

  float* tile(std::uint32_t tile, std::uint32_t query) const {
    return tiles + (std::size_t{tile} * tile_queries + query) * (head_size + 16);
  }
  // K of the blocks that are read after this job, to be fetched by then.
  const std::uint16_t* next_keys[ahead_blocks] = {};
};

struct Kernels {
  const char* name = nullptr;
  std::uint32_t panel_rows = 0;  // rows that its quantised kernels take at once

  // Some cells of a panel from their floats: x[0] is of the first of them, rows are `stride` apart.
  void (*quantise)(const float* x, std::size_t stride, const Panel& panel,
                   const Cells& cells) = nullptr;
  QuantisedMatmul matmul_q4_0 = nullptr;
  QuantisedMatmul matmul_q4_1 = nullptr;
  QuantisedMatmul matmul_q5_0 = nullptr;
  QuantisedMatmul matmul_q5_1 = nullptr;
  QuantisedMatmul matmul_q8_0 = nullptr;
  QuantisedMatmul matmul_q4_k = nullptr;
  QuantisedMatmul matmul_q5_k = nullptr;
  QuantisedMatmul matmul_q6_k = nullptr;
  FloatMatmul matmul_f16 = nullptr;
  FloatMatmul matmul_bf16 = nullptr;
  FloatMatmul matmul_f32 = nullptr;

  void (*rms_norm)(const float* x, const float* weight, std::uint32_t width, float epsilon,
                   float* out) = nullptr;
  void (*silu_multiply)(const float* gate, const float* up, std::size_t size, float* out) = nullptr;
  // Rotates the pairs (2i, 2i+1) of one head by cos_sin[size/2][2].
  void (*rope)(float* x, const float* cos_sin, std::uint32_t head_size) = nullptr;
  // Writes one head's k and v into its place for `slot` of a block: K [head_size][16], V
  // [16][head_size].
  void (*store_kv)(const float* k, const float* v, std::uint32_t head_size, std::uint32_t slot,
                   std::uint16_t* kv) = nullptr;
  void (*attend)(const AttentionJob& job) = nullptr;
  // `out` from the `tiles` of a job, all of which are there.
  void (*merge_tiles)(const AttentionJob& job) = nullptr;
};

const Kernels& kernels_scalar();
const Kernels& kernels_avx2();     // needs AVX2, FMA, F16C
const Kernels& kernels_avxvnni();  // needs AVX-VNNI too
const Kernels& kernels_avx512();   // needs AVX-512 F, BW, VL, VNNI

}  // namespace aorta::engine::cpu
