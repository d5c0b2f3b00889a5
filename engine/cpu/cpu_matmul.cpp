// CpuBackend's matrix products: norm and quantise the rows once, then every thread computes its own
// groups of 16 outputs for all rows and finishes them: bias, residual, gate.
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

FloatMatmul float_kernel(const Kernels& kernels, WeightType type) {
  return type == WeightType::f16    ? kernels.matmul_f16
         : type == WeightType::bf16 ? kernels.matmul_bf16
                                    : kernels.matmul_f32;
}

std::uint32_t groups_of(const Weight& weight) { return (weight.rows + lanes - 1) / lanes; }

// The outputs of a group for the rows of a panel, [rows][16], and what finishes them. Whole groups
// take loops of a fixed length, which the compiler turns into vectors.
struct alignas(64) Tile {
  float values[max_panel_rows * lanes];
  operator float*() { return values; }
};

template <class Row>
void each_row(Tile& tile, std::uint32_t rows, const Row& row) {
  for (std::size_t r = 0; r < rows; ++r) row(tile.values + r * lanes, r);
}

void copy_rows(Tile& tile, std::uint32_t rows, float* out, std::size_t stride,
               std::uint32_t outputs) {
  each_row(tile, rows, [&](const float* from, std::size_t r) {
    if (outputs == lanes) {
      std::memcpy(out + r * stride, from, lanes * sizeof(float));
    } else {
      std::memcpy(out + r * stride, from, outputs * sizeof(float));
    }
  });
}

void add(float* __restrict to, const float* __restrict values, std::uint32_t outputs) {
  if (outputs == lanes) {
    for (std::uint32_t i = 0; i < lanes; ++i) to[i] += values[i];
  } else {
    for (std::uint32_t i = 0; i < outputs; ++i) to[i] += values[i];
  }
}

void add_to_rows(Tile& tile, std::uint32_t rows, const float* values, std::uint32_t outputs) {
  each_row(tile, rows, [&](float* to, std::size_t) { add(to, values, outputs); });
}

void add_rows(Tile& tile, std::uint32_t rows, const float* from, std::size_t stride,
              std::uint32_t outputs) {
  each_row(tile, rows, [&](float* to, std::size_t r) { add(to, from + r * stride, outputs); });
}

bool is_quantised(const Weight& weight) {
  return find_weight_format(static_cast<std::uint32_t>(weight.type))->quantised;
}

}  // namespace

// A weight against a prepared input, 16 outputs × the rows of a panel at a time.
class CpuBackend::Tiles {
 public:
  Tiles(const CpuBackend& backend, const Prepared& input, const Weight& weight)
      : rows_(backend.quantised_),
        input_(input),
        weight_(weight),
        group_bytes_(find_weight_format(static_cast<std::uint32_t>(weight.type))
                         ->group_bytes(weight.columns)),
        quantised_(quantised_kernel(backend.kernels_, weight.type)),
        float_(float_kernel(backend.kernels_, weight.type)) {}

  std::uint32_t first_row(std::uint32_t panel) const { return rows_.first_row(panel); }
  std::uint32_t rows_of(std::uint32_t panel) const { return rows_.panel(panel).rows; }
  // How many of a group's lanes are outputs.
  std::uint32_t outputs(std::uint32_t group) const {
    return std::min(lanes, weight_.rows - group * lanes);
  }

  void compute(std::uint32_t panel, std::uint32_t group, float* out, std::size_t stride,
               KvAhead& ahead) const {
    const std::byte* data = weight_.data + group * group_bytes_;
    Panel rows = rows_.panel(panel);
    rows.ahead = ahead.next(rows.blocks * ahead_bytes);
    if (quantised_ != nullptr) return quantised_(data, rows, out, stride);
    const std::size_t columns = weight_.columns;
    float_(data, {input_.x + first_row(panel) * columns, columns, rows.rows, weight_.columns}, out,
           stride);
  }

  // Calls job(panel, group) so that a group's weights stay in cache over some panels, and those
  // panels over all groups.
  template <class Job>
  void each(Range groups, const Job& job) const {
    const std::uint32_t panels = rows_.panels();
    const std::uint32_t at_once = std::max(1u, rows_in_cache / rows_of(0));
    for (std::uint32_t first = 0; first < panels; first += at_once) {
      const std::uint32_t last = std::min(panels, first + at_once);
      for (std::uint32_t group = groups.begin; group < groups.end; ++group) {
        for (std::uint32_t panel = first; panel < last; ++panel) job(panel, group);
      }
    }
  }

 private:
  const QuantisedRows& rows_;
  const Prepared input_;
  const Weight& weight_;
  const std::size_t group_bytes_;
  const QuantisedMatmul quantised_;
  const FloatMatmul float_;
};

CpuBackend::Prepared CpuBackend::prepare(const Input& input, std::uint32_t columns, bool floats,
                                         bool quantised) {
  AORTA_CHECK(input.rows >= 1 && input.rows <= max_rows_,
              "a step of more rows than the backend was made for");
  quantised_.arrange(input.rows, columns, kernels_.panel_rows);
  const std::size_t work = std::size_t{4} * input.rows * columns;
  const std::uint32_t blocks = columns / quantum, panels = quantised_.panels();
  const auto norm = [&](std::uint32_t first, std::uint32_t rows, float* to) {
    for (std::size_t row = 0; row < rows; ++row) {
      kernels_.rms_norm(input.x + (first + row) * columns, input.norm, columns, input.epsilon,
                        to + row * columns);
    }
  };
  const float* x = input.x;
  if (floats && input.norm != nullptr) {
    float* const normed = scratch(input.rows, columns);
    share(input.rows, work, [&](Range r) {
      norm(r.begin, r.end - r.begin, normed + std::size_t{r.begin} * columns);
    });
    x = normed;
  }
  if (!quantised) return {x};
  const bool norms = input.norm != nullptr && !floats;  // a panel's rows into a thread's scratch
  float* const scratches = norms ? scratch(pool_->size() * max_panel_rows, columns) : nullptr;
  const auto quantise = [&](std::uint32_t thread, std::uint32_t panel, Range r) {
    const Panel to = quantised_.panel(panel);
    const float* rows = x + std::size_t{quantised_.first_row(panel)} * columns;
    if (norms) {
      float* const normed = scratches + std::size_t{thread} * max_panel_rows * columns;
      norm(quantised_.first_row(panel), to.rows, normed);
      rows = normed;
    }
    kernels_.quantise(rows + std::size_t{r.begin} * quantum, columns, to, r.begin, r.end);
  };
  // Few panels are shared by columns, and each thread norms all of their rows for itself.
  const bool by_panel = panels >= 4 * pool_->size();
  share_by_thread(by_panel ? panels : blocks, work, [&](std::uint32_t thread, Range r) {
    const Range some = by_panel ? r : Range{0, panels};
    for (std::uint32_t panel = some.begin; panel < some.end; ++panel) {
      quantise(thread, panel, by_panel ? Range{0, blocks} : r);
    }
  });
  return {x};
}

float* CpuBackend::scratch(std::uint32_t rows, std::uint32_t columns) {
  const std::size_t bytes = std::size_t{rows} * columns * sizeof(float);
  if (scratch_.size() < bytes) {
    auto memory = Memory::reserve(bytes, "normed activations");
    AORTA_CHECK(memory.ok(), "no address space for normed activations");
    scratch_ = std::move(*memory);
  }
  return reinterpret_cast<float*>(scratch_.data());
}

void CpuBackend::write(const Prepared& input, const Product& product, Range groups,
                       KvAhead& ahead) const {
  const Tiles tiles(*this, input, *product.weight);
  const std::size_t width = product.weight->rows;
  tiles.each(groups, [&](std::uint32_t panel, std::uint32_t group) {
    const std::uint32_t outputs = tiles.outputs(group), rows = tiles.rows_of(panel);
    float* out = product.out + tiles.first_row(panel) * width + group * lanes;
    if (outputs == lanes && product.bias == nullptr && !product.residual) {
      return tiles.compute(panel, group, out, width, ahead);
    }
    Tile sums;
    tiles.compute(panel, group, sums, lanes, ahead);
    if (product.bias != nullptr) add_to_rows(sums, rows, product.bias + group * lanes, outputs);
    if (product.residual) add_rows(sums, rows, out, width, outputs);
    copy_rows(sums, rows, out, width, outputs);
  });
}

void CpuBackend::matmul(const Input& input, std::span<const Product> products) {
  std::uint32_t groups = 0;
  bool floats = false, quantised = false;
  for (const Product& product : products) {
    groups += groups_of(*product.weight);
    (is_quantised(*product.weight) ? quantised : floats) = true;
  }
  const std::uint32_t columns = products[0].weight->columns;
  const Prepared prepared = prepare(input, columns, floats, quantised);
  // A few rows cost what reading the weights costs, about 4 per column of a group.
  const std::size_t work = std::size_t{4} * input.rows * groups * columns;
  share_by_thread(groups, work, [&](std::uint32_t thread, Range r) {
    std::uint32_t first = 0;  // group of this product, in the count over all products
    for (const Product& product : products) {
      const std::uint32_t count = groups_of(*product.weight);
      const std::uint32_t begin = std::max(r.begin, first), end = std::min(r.end, first + count);
      if (begin < end) write(prepared, product, {begin - first, end - first}, ahead_[thread]);
      first += count;
    }
  });
}

void CpuBackend::gated_matmul(const Input& input, const Weight& gate, const Weight& up,
                              float* out) {
  AORTA_CHECK(gate.rows == up.rows && gate.columns == up.columns, "a gate of another shape");
  const bool quantised = is_quantised(gate) || is_quantised(up);
  const bool floats = !is_quantised(gate) || !is_quantised(up);
  const Prepared prepared = prepare(input, gate.columns, floats, quantised);
  const std::uint32_t groups = groups_of(gate);
  const std::size_t work = std::size_t{8} * input.rows * groups * gate.columns;
  share_by_thread(groups, work, [&](std::uint32_t thread, Range r) {
    const Tiles gates(*this, prepared, gate), ups(*this, prepared, up);
    gates.each(r, [&](std::uint32_t panel, std::uint32_t group) {
      Tile g, u;
      gates.compute(panel, group, g, lanes, ahead_[thread]);
      ups.compute(panel, group, u, lanes, ahead_[thread]);
      const std::uint32_t rows = gates.rows_of(panel);
      kernels_.silu_multiply(g, u, std::size_t{rows} * lanes, g);
      copy_rows(g, rows, out + std::size_t{gates.first_row(panel)} * gate.rows + group * lanes,
                gate.rows, gates.outputs(group));
    });
  });
}

}  // namespace aorta::engine::cpu
