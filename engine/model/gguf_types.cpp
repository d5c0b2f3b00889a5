#include "engine/model/gguf_types.hpp"

#include <array>

namespace aorta::engine {
namespace {

struct ValueType {
  std::string_view name;
  std::uint32_t scalar_bytes;
};

constexpr std::array<ValueType, 13> value_types = {{{"u8", 1},
                                                    {"i8", 1},
                                                    {"u16", 2},
                                                    {"i16", 2},
                                                    {"u32", 4},
                                                    {"i32", 4},
                                                    {"f32", 4},
                                                    {"bool", 1},
                                                    {"string", 0},
                                                    {"array", 0},
                                                    {"u64", 8},
                                                    {"i64", 8},
                                                    {"f64", 8}}};

// Indexed by ggml_type; entries without a name are retired numbers (4, 5: Q4_2, Q4_3; 31–33 and
// 36–38: layouts that became repacks at load).
constexpr std::array<GgmlTypeTraits, 40> tensor_types = {{
    {"F32", 1, 4},        {"F16", 1, 2},       {"Q4_0", 32, 18},     {"Q4_1", 32, 20},
    {"", 0, 0},           {"", 0, 0},          {"Q5_0", 32, 22},     {"Q5_1", 32, 24},
    {"Q8_0", 32, 34},     {"Q8_1", 32, 36},    {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},   {"Q5_K", 256, 176},  {"Q6_K", 256, 210},   {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74}, {"IQ3_XXS", 256, 98}, {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18},   {"IQ3_S", 256, 110}, {"IQ2_S", 256, 82},   {"IQ4_XS", 256, 136},
    {"I8", 1, 1},         {"I16", 1, 2},       {"I32", 1, 4},        {"I64", 1, 8},
    {"F64", 1, 8},        {"IQ1_M", 256, 56},  {"BF16", 1, 2},       {"", 0, 0},
    {"", 0, 0},           {"", 0, 0},          {"TQ1_0", 256, 54},   {"TQ2_0", 256, 66},
    {"", 0, 0},           {"", 0, 0},          {"", 0, 0},           {"MXFP4", 32, 17},
}};

}  // namespace

std::string_view gguf_value_type_name(GgufValueType type) {
  const auto index = static_cast<std::uint32_t>(type);
  return index < value_types.size() ? value_types[index].name : std::string_view();
}

std::uint32_t gguf_scalar_bytes(GgufValueType type) {
  const auto index = static_cast<std::uint32_t>(type);
  return index < value_types.size() ? value_types[index].scalar_bytes : 0;
}

const GgmlTypeTraits* ggml_type_traits(std::uint32_t type) {
  if (type >= tensor_types.size() || tensor_types[type].name.empty()) return nullptr;
  return &tensor_types[type];
}

}  // namespace aorta::engine
