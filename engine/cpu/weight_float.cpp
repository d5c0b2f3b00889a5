// F32, F16 and BF16 weights: [columns][16 outputs].
#include <cstring>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

template <class Element>
std::size_t group_bytes(std::uint32_t columns) {
  const std::size_t bytes = std::size_t{columns} * lanes * sizeof(Element);
  return (bytes + 63) / 64 * 64;
}

template <class Element>
void pack_group(const std::byte* const* rows, std::uint32_t columns, std::byte* group) {
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    if (rows[lane] == nullptr) continue;
    for (std::size_t k = 0; k < columns; ++k) {
      std::memcpy(group + (k * lanes + lane) * sizeof(Element), rows[lane] + k * sizeof(Element),
                  sizeof(Element));
    }
  }
}

float widen(float value) { return value; }
float widen(std::uint16_t half) { return half_to_float(half); }
float widen(BFloat16 value) { return bfloat_to_float(value); }

template <class Element>
void unpack_row(const std::byte* group, std::uint32_t lane, std::uint32_t columns, float* out) {
  const auto* elements = reinterpret_cast<const Element*>(group);
  for (std::size_t k = 0; k < columns; ++k) out[k] = widen(elements[k * lanes + lane]);
}

}  // namespace

const WeightFormat format_f32 = {
    WeightType::f32, "F32", 1, 4, false, group_bytes<float>, pack_group<float>, unpack_row<float>};
const WeightFormat format_f16 = {WeightType::f16,
                                 "F16",
                                 1,
                                 2,
                                 false,
                                 group_bytes<std::uint16_t>,
                                 pack_group<std::uint16_t>,
                                 unpack_row<std::uint16_t>};
const WeightFormat format_bf16 = {
    WeightType::bf16,    "BF16", 1, 2, false, group_bytes<BFloat16>, pack_group<BFloat16>,
    unpack_row<BFloat16>};

}  // namespace aorta::engine::cpu
