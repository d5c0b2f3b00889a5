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

// A weight against an input, 16 outputs × the rows of a panel at a time.
class CpuBackend::Tiles {
 public:
  Tiles(const CpuBackend& backend, const QuantisedRows& rows, const float* x, const Weight& weight)
      : rows_(rows),
        x_(x),
        weight_(weight),
        group_bytes_(find_weight_format(static_cast<std::uint32_t>(weight.type))
                         ->group_bytes(weight.columns)),
        quantised_(quantised_kernel(backend.kernels_, weight.type)),
        float_(float_kernel(backend.kernels_, weight.type)) {}

  std::uint32_t first_row(std::uint32_t panel) const { return rows_.first_row(panel); }
  std::uint32_t rows_of(std::uint32_t panel) const { return rows_.panel(panel).rows; }
  std::uint32_t width() const { return weight_.rows; }
  // How many of a group's lanes are outputs.
  std::uint32_t outputs(std::uint32_t group) const {
    return std::min(lanes, weight_.rows - group * lanes);
  }

  void compute(std::uint32_t panel, std::uint32_t group, float* out, std::size_t stride,
               KvAhead& ahead) const {
    const std::byte* data = weight_.data + group * group_bytes_;
    Panel rows = rows_.panel(panel);
    if (quantised_ != nullptr) {
      rows.ahead = ahead.next(rows.blocks * ahead_bytes);
      return quantised_(data, rows, out, stride);
    }
    const std::size_t columns = weight_.columns;
    float_(data, {x_ + first_row(panel) * columns, columns, rows.rows, weight_.columns}, out,
           stride);
  }

  // Calls job(panel, item) so that an item's weights stay in cache over some panels, and those
  // panels over all items: a group, or several.
  template <class Job>
  void each(Range items, const Job& job) const {
    const std::uint32_t panels = rows_.panels();
    const std::uint32_t at_once = std::max(1u, rows_in_cache / rows_of(0));
    for (std::uint32_t first = 0; first < panels; first += at_once) {
      const std::uint32_t last = std::min(panels, first + at_once);
      for (std::uint32_t item = items.begin; item < items.end; ++item) {
        for (std::uint32_t panel = first; panel < last; ++panel) job(panel, item);
      }
    }
  }

 private:
  const QuantisedRows& rows_;
  const float* const x_;
  const Weight& weight_;
  const std::size_t group_bytes_;
  const QuantisedMatmul quantised_;
  const FloatMatmul float_;
};

Backend::Form CpuBackend::form_for(const Weight& weight, std::uint32_t columns) const {
  return is_quantised(weight) && columns % quantum == 0 ? Form::quantised : Form::floats;
}

void CpuBackend::grow(Memory& memory, std::size_t bytes) {
  if (memory.size() >= bytes) return;
  auto larger = Memory::reserve(bytes, "a step's activations");
  AORTA_CHECK(larger.ok(), "no address space for a step's activations");
  memory = std::move(*larger);
}

void CpuBackend::norm_rows(const Input& input, std::uint32_t columns, Range rows,
                           float* out) const {
  for (std::size_t row = rows.begin; row < rows.end; ++row, out += columns) {
    // Other threads wrote most of it just now.
    for (std::uint32_t i = 0; i < columns && row + 1 < rows.end; i += 16) {
      __builtin_prefetch(input.x + (row + 1) * columns + i);
    }
    kernels_.rms_norm(input.x + row * columns, input.norm, columns, input.epsilon, out);
  }
}

void CpuBackend::quantise(const Input& input, const QuantisedRows& to, std::uint32_t panel,
                          Range blocks, std::uint32_t thread) {
  const Panel cells = to.panel(panel);
  const std::uint32_t columns = to.blocks() * quantum, first = to.first_row(panel);
  const float* rows = input.x + std::size_t{first} * columns;
  if (input.norm != nullptr) {
    auto* const normed = reinterpret_cast<float*>(own_normed_[thread].data());
    norm_rows(input, columns, {first, first + cells.rows}, normed);
    rows = normed;
  }
  kernels_.quantise(rows + std::size_t{blocks.begin} * quantum, columns, cells,
                    {0, cells.rows, blocks.begin, blocks.end});
}

CpuBackend::Prepared CpuBackend::prepare(const Input& input, std::uint32_t columns, bool floats,
                                         bool quantised) {
  AORTA_CHECK(input.rows >= 1 && input.rows <= max_rows_,
              "a step of more rows than the backend was made for");
  const std::size_t work = std::size_t{4} * input.rows * columns;
  const auto rows_in = [&](void* memory) {
    return QuantisedRows(memory, input.rows, columns, kernels_.panel_rows);
  };
  Prepared prepared = {input, rows_in(nullptr)};
  if (input.form == Form::quantised) {
    AORTA_CHECK(!floats && input.norm == nullptr, "quantised rows for an op that takes floats");
    prepared.rows = rows_in(const_cast<float*>(input.x));  // only read
    return prepared;
  }
  if (floats && input.norm != nullptr) {
    grow(normed_, std::size_t{input.rows} * columns * sizeof(float));
    auto* const normed = reinterpret_cast<float*>(normed_.data());
    share(input.rows, work,
          [&](Range r) { norm_rows(input, columns, r, normed + std::size_t{r.begin} * columns); });
    prepared.input = {normed, input.rows};
  }
  if (!quantised) return prepared;
  const std::size_t bytes = QuantisedRows::bytes(input.rows, columns);
  for (Memory& memory : own_normed_) grow(memory, max_panel_rows * columns * sizeof(float));
  prepared.alone = pool_->size() <= threads_that_quantise_alone;
  if (prepared.alone) {
    for (Memory& memory : own_quantised_) grow(memory, bytes);
    return prepared;
  }
  grow(quantised_, bytes);
  prepared.rows = rows_in(quantised_.data());
  const std::uint32_t blocks = prepared.rows.blocks(), panels = prepared.rows.panels();
  // Few panels are shared by columns, and each thread norms all of their rows for itself.
  const bool by_panel = panels >= 4 * pool_->size();
  share_by_thread(by_panel ? panels : blocks, work, [&](std::uint32_t thread, Range r) {
    const Range some = by_panel ? r : Range{0, panels};
    for (std::uint32_t panel = some.begin; panel < some.end; ++panel) {
      quantise(prepared.input, prepared.rows, panel, by_panel ? Range{0, blocks} : r, thread);
    }
  });
  return prepared;
}

QuantisedRows CpuBackend::rows_for(const Prepared& prepared, std::uint32_t thread) {
  if (!prepared.alone) return prepared.rows;
  const std::uint32_t blocks = prepared.rows.blocks();
  const QuantisedRows rows(own_quantised_[thread].data(), prepared.input.rows, blocks * quantum,
                           kernels_.panel_rows);
  for (std::uint32_t panel = 0; panel < rows.panels(); ++panel) {
    quantise(prepared.input, rows, panel, {0, blocks}, thread);
  }
  return rows;
}

void CpuBackend::write(const Tiles& tiles, const Product& product, Range groups,
                       KvAhead& ahead) const {
  const std::size_t width = tiles.width();
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
    const QuantisedRows rows = rows_for(prepared, thread);
    std::uint32_t first = 0;  // group of this product, in the count over all products
    for (const Product& product : products) {
      const std::uint32_t count = groups_of(*product.weight);
      const std::uint32_t begin = std::max(r.begin, first), end = std::min(r.end, first + count);
      const Tiles tiles(*this, rows, prepared.input.x, *product.weight);
      if (begin < end) write(tiles, product, {begin - first, end - first}, ahead_[thread]);
      first += count;
    }
  });
}

void CpuBackend::write_gated(const Tiles& gates, const Tiles& ups, Range groups, float* out,
                             KvAhead& ahead) const {
  gates.each(groups, [&](std::uint32_t panel, std::uint32_t group) {
    Tile g, u;
    gates.compute(panel, group, g, lanes, ahead);
    ups.compute(panel, group, u, lanes, ahead);
    const std::uint32_t rows = gates.rows_of(panel);
    kernels_.silu_multiply(g, u, std::size_t{rows} * lanes, g);
    const std::size_t first = std::size_t{gates.first_row(panel)} * gates.width();
    copy_rows(g, rows, out + first + group * lanes, gates.width(), gates.outputs(group));
  });
}

void CpuBackend::write_gated_quantised(const Tiles& gates, const Tiles& ups, Range blocks,
                                       const QuantisedRows& out, KvAhead& ahead) const {
  gates.each(blocks, [&](std::uint32_t panel, std::uint32_t block) {
    alignas(64) float g[max_panel_rows * quantum], u[max_panel_rows * quantum];
    out.fetch_to_write(panel, block);
    for (std::uint32_t half = 0; half < 2; ++half) {
      gates.compute(panel, 2 * block + half, g + half * lanes, quantum, ahead);
      ups.compute(panel, 2 * block + half, u + half * lanes, quantum, ahead);
    }
    const Panel to = out.panel(panel);
    kernels_.silu_multiply(g, u, std::size_t{to.rows} * quantum, g);
    kernels_.quantise(g, quantum, to, {0, to.rows, block, block + 1});
  });
}

void CpuBackend::gated_matmul(const Input& input, const Weight& gate, const Weight& up, float* out,
                              Form form) {
  AORTA_CHECK(gate.rows == up.rows && gate.columns == up.columns, "a gate of another shape");
  const bool quantised = is_quantised(gate) || is_quantised(up);
  const bool floats = !is_quantised(gate) || !is_quantised(up);
  const Prepared prepared = prepare(input, gate.columns, floats, quantised);
  const bool to_blocks = form == Form::quantised;
  AORTA_CHECK(!to_blocks || gate.rows % quantum == 0, "a part of a block to be quantised");
  const std::uint32_t items = to_blocks ? gate.rows / quantum : groups_of(gate);
  const QuantisedRows blocks_out(out, input.rows, gate.rows, kernels_.panel_rows);
  const std::size_t work = std::size_t{8} * input.rows * groups_of(gate) * gate.columns;
  share_by_thread(items, work, [&](std::uint32_t thread, Range r) {
    const QuantisedRows rows = rows_for(prepared, thread);
    const float* x = prepared.input.x;
    const Tiles gates(*this, rows, x, gate), ups(*this, rows, x, up);
    if (to_blocks) return write_gated_quantised(gates, ups, r, blocks_out, ahead_[thread]);
    write_gated(gates, ups, r, out, ahead_[thread]);
  });
}

}  // namespace aorta::engine::cpu
