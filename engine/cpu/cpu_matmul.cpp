// CpuBackend's matrix products: quantise the rows once, then every thread computes its own groups
// of 16 outputs for all rows.
#include <algorithm>
#include <cstring>

#include "engine/cpu/cpu_backend.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

// Rows whose activations stay in a core's L2 beside a group of weights.
constexpr std::uint32_t rows_in_cache = 132;

QuantisedMatmul quantised_kernel(const Kernels& kernels, WeightType type) {
  switch (type) {
    case WeightType::q4_0:
      return kernels.matmul_q4_0;
    case WeightType::q4_1:
      return kernels.matmul_q4_1;
    case WeightType::q5_0:
      return kernels.matmul_q5_0;
    case WeightType::q5_1:
      return kernels.matmul_q5_1;
    case WeightType::q8_0:
      return kernels.matmul_q8_0;
    case WeightType::q4_k:
      return kernels.matmul_q4_k;
    case WeightType::q5_k:
      return kernels.matmul_q5_k;
    case WeightType::q6_k:
      return kernels.matmul_q6_k;
    case WeightType::bf16:
    case WeightType::f16:
    case WeightType::f32:
      return nullptr;
  }
  return nullptr;
}

std::uint32_t groups_of(const Weight& weight) { return (weight.rows + lanes - 1) / lanes; }

// Calls kernel(out, stride) for `rows` rows of a group of outputs: in place, or through a buffer
// when the weight has fewer outputs than the group.
template <class Kernel>
void into_place(const Weight& weight, std::uint32_t group, std::uint32_t rows, float* out,
                const Kernel& kernel) {
  const std::uint32_t outputs = std::min(lanes, weight.rows - group * lanes);
  if (outputs == lanes) return kernel(out, weight.rows);
  float whole[max_panel_rows * lanes];
  kernel(whole, lanes);
  for (std::size_t r = 0; r < rows; ++r) {
    std::memcpy(out + r * weight.rows, whole + r * lanes, outputs * sizeof(float));
  }
}

// Adds the bias of `groups` groups from `first` on to every row's finished sums.
void add_bias(const Backend::Product& product, std::uint32_t rows, std::uint32_t first,
              std::uint32_t groups) {
  const std::uint32_t width = product.weight->rows;
  const std::uint32_t begin = first * lanes, end = std::min(width, begin + groups * lanes);
  for (std::size_t row = 0; row < rows; ++row) {
    float* out = product.out + row * width;
    for (std::uint32_t i = begin; i < end; ++i) out[i] += product.bias[i];
  }
}

}  // namespace

void CpuBackend::quantise(const float* x, std::uint32_t rows, std::uint32_t columns) {
  quantised_.arrange(rows, columns, kernels_.panel_rows);
  share(quantised_.panels(), std::size_t{2} * rows * columns, [&](Range r) {
    for (std::uint32_t p = r.begin; p < r.end; ++p) {
      kernels_.quantise(x + std::size_t{quantised_.first_row(p)} * columns, columns,
                        quantised_.panel(p));
    }
  });
}

void CpuBackend::multiply(const float* x, std::uint32_t rows, const Product& product,
                          Range groups) const {
  const Weight& weight = *product.weight;
  const WeightFormat& format = *find_weight_format(static_cast<std::uint32_t>(weight.type));
  const std::size_t group_bytes = format.group_bytes(weight.columns);
  const auto out_at = [&](std::uint32_t row, std::uint32_t group) {
    return product.out + std::size_t{row} * weight.rows + group * lanes;
  };
  if (!format.quantised) {
    const FloatMatmul kernel = weight.type == WeightType::f16    ? kernels_.matmul_f16
                               : weight.type == WeightType::bf16 ? kernels_.matmul_bf16
                                                                 : kernels_.matmul_f32;
    for (std::uint32_t g = groups.begin; g < groups.end; ++g) {
      for (std::uint32_t row = 0; row < rows; row += max_panel_rows) {
        const std::uint32_t count = std::min(max_panel_rows, rows - row);
        const FloatRows part = {x + std::size_t{row} * weight.columns, weight.columns, count,
                                weight.columns};
        into_place(weight, g, count, out_at(row, g), [&](float* out, std::size_t stride) {
          kernel(weight.data + g * group_bytes, part, out, stride);
        });
      }
    }
    return;
  }
  const QuantisedMatmul kernel = quantised_kernel(kernels_, weight.type);
  const std::uint32_t panels = quantised_.panels();
  const std::uint32_t panels_at_once = rows_in_cache / kernels_.panel_rows;
  for (std::uint32_t first = 0; first < panels; first += panels_at_once) {
    const std::uint32_t last = std::min(panels, first + panels_at_once);
    for (std::uint32_t g = groups.begin; g < groups.end; ++g) {
      for (std::uint32_t p = first; p < last; ++p) {
        const Panel panel = quantised_.panel(p);
        into_place(weight, g, panel.rows, out_at(quantised_.first_row(p), g),
                   [&](float* out, std::size_t stride) {
                     kernel(weight.data + g * group_bytes, panel, out, stride);
                   });
      }
    }
  }
}

void CpuBackend::matmul(const float* x, std::uint32_t rows, std::span<const Product> products) {
  AORTA_CHECK(rows >= 1 && rows <= max_rows_, "a step of more rows than the backend was made for");
  std::uint32_t groups = 0;
  bool quantised = false;
  for (const Product& product : products) {
    groups += groups_of(*product.weight);
    quantised |= find_weight_format(static_cast<std::uint32_t>(product.weight->type))->quantised;
  }
  const std::uint32_t columns = products[0].weight->columns;
  if (quantised) quantise(x, rows, columns);
  // A few rows cost what reading the weights costs, about 4 per column of a group.
  share(groups, std::size_t{4} * rows * groups * columns, [&](Range r) {
    std::uint32_t first = 0;  // group of this product, in the count over all products
    for (const Product& product : products) {
      const std::uint32_t count = groups_of(*product.weight);
      const std::uint32_t begin = std::max(r.begin, first), end = std::min(r.end, first + count);
      if (begin < end) {
        multiply(x, rows, product, {begin - first, end - first});
        if (product.bias != nullptr) add_bias(product, rows, begin - first, end - begin);
      }
      first += count;
    }
  });
}

}  // namespace aorta::engine::cpu
