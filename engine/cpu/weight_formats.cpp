#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

const WeightFormat* const formats[] = {&format_f32,  &format_f16,  &format_bf16, &format_q4_0,
                                       &format_q4_1, &format_q5_0, &format_q5_1, &format_q8_0,
                                       &format_q4_k, &format_q5_k, &format_q6_k};

}  // namespace

const WeightFormat* find_weight_format(std::uint32_t ggml_type) {
  for (const WeightFormat* format : formats) {
    if (static_cast<std::uint32_t>(format->type) == ggml_type) return format;
  }
  return nullptr;
}

std::string supported_weight_types() {
  std::string names;
  for (const WeightFormat* format : formats) {
    if (!names.empty()) names += ", ";
    names += format->name;
  }
  return names;
}

std::size_t packed_bytes(const WeightFormat& format, std::uint32_t rows, std::uint32_t columns) {
  const std::size_t groups = (rows + lanes - 1) / lanes;
  return groups * format.group_bytes(columns);
}

}  // namespace aorta::engine::cpu
