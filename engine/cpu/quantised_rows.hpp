#pragma once
// The int8 form of a step's activations, cut into panels of as equal rows as can be.
#include <algorithm>
#include <cstdint>

#include "base/result.hpp"
#include "engine/cpu/kernels.hpp"
#include "engine/cpu/memory.hpp"

namespace aorta::engine::cpu {

class QuantisedRows {
 public:
  // Room for `rows` × `columns` in panels of at most `panel_rows`; what was there is lost.
  void arrange(std::uint32_t rows, std::uint32_t columns, std::uint32_t panel_rows) {
    rows_ = rows;
    blocks_ = columns / quantum;
    panels_ = (rows + panel_rows - 1) / panel_rows;
    panel_rows_ = (rows + panels_ - 1) / panels_;
    panels_ = (rows + panel_rows_ - 1) / panel_rows_;
    const std::size_t cells = std::size_t{rows} * blocks_;
    if (cells <= capacity_) return;
    auto memory = Memory::reserve(cells * cell_bytes, "quantised activations");
    AORTA_CHECK(memory.ok(), "no memory for a step's quantised activations");
    memory_ = std::move(*memory);
    capacity_ = cells;
  }

  std::uint32_t panels() const { return panels_; }
  std::uint32_t first_row(std::uint32_t panel) const { return panel * panel_rows_; }

  Panel panel(std::uint32_t index) const {
    const std::size_t first = std::size_t{first_row(index)} * blocks_;
    std::byte* base = memory_.data();
    Panel panel;
    panel.rows = std::min(panel_rows_, rows_ - first_row(index));
    panel.blocks = blocks_;
    panel.codes = reinterpret_cast<std::int8_t*>(base) + first * quantum;
    base += capacity_ * quantum;
    panel.scale = reinterpret_cast<float*>(base) + first;
    base += capacity_ * sizeof(float);
    panel.scaled_sum = reinterpret_cast<float*>(base) + first;
    base += capacity_ * sizeof(float);
    panel.negative_sum = reinterpret_cast<std::int32_t*>(base) + first;
    base += capacity_ * sizeof(std::int32_t);
    panel.negative_halves = reinterpret_cast<std::int32_t*>(base) + 2 * first;
    return panel;
  }

 private:
  static constexpr std::size_t cell_bytes = quantum + 2 * sizeof(float) + 3 * sizeof(std::int32_t);

  Memory memory_;
  std::size_t capacity_ = 0;  // cells: 32 activations of one row
  std::uint32_t rows_ = 0, blocks_ = 0, panels_ = 0, panel_rows_ = 0;
};

}  // namespace aorta::engine::cpu
