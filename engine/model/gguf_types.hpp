#pragma once
// The type numbers of GGUF: of metadata values and of tensors (ggml_type), with their sizes.
#include <cstdint>
#include <string_view>

namespace aorta::engine {

enum class GgufValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

// "u32", "string" ...; empty for a number that is no type.
std::string_view gguf_value_type_name(GgufValueType type);
// Bytes of a scalar; 0 for strings, arrays and unknown numbers.
std::uint32_t gguf_scalar_bytes(GgufValueType type);

// How a ggml_type lays elements out: a row is a whole number of blocks.
struct GgmlTypeTraits {
  std::string_view name;
  std::uint32_t block_elements = 0;
  std::uint32_t block_bytes = 0;
};

// nullptr for a number this build does not know (or one that ggml retired).
const GgmlTypeTraits* ggml_type_traits(std::uint32_t type);

}  // namespace aorta::engine
