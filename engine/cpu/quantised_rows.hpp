#pragma once
// The int8 form of a step's activations, cut into panels of as equal rows as can be: a view of
// memory that someone else owns.
#include <algorithm>
#include <cstdint>

#include "engine/cpu/kernels.hpp"
#include "engine/cpu/memory.hpp"

namespace aorta::engine::cpu {

class QuantisedRows {
 public:
  // What `rows` × `columns` take: less than as floats, so that a buffer of floats has room.
  static std::size_t bytes(std::uint32_t rows, std::uint32_t columns) {
    return std::size_t{rows} * (columns / quantum) * cell_bytes;
  }

  QuantisedRows() = default;
  // Panels of at most `panel_rows`. Without memory it only says how rows are cut.
  QuantisedRows(void* memory, std::uint32_t rows, std::uint32_t columns, std::uint32_t panel_rows)
      : memory_(static_cast<std::byte*>(memory)), rows_(rows), blocks_(columns / quantum) {
    panels_ = (rows + panel_rows - 1) / panel_rows;
    panel_rows_ = (rows + panels_ - 1) / panels_;
    panels_ = (rows + panel_rows_ - 1) / panel_rows_;
  }

  std::uint32_t blocks() const { return blocks_; }
  std::uint32_t panels() const { return panels_; }
  std::uint32_t first_row(std::uint32_t panel) const { return panel * panel_rows_; }
  std::uint32_t panel_of(std::uint32_t row) const { return row / panel_rows_; }

  // What quantising a block of a panel will write.
  void fetch_to_write(std::uint32_t panel, std::uint32_t block) const {
    const Panel to = this->panel(panel);
    const std::size_t at = std::size_t{block} * to.rows;
    for (std::size_t byte = 0; byte < to.rows * quantum; byte += 64) {
      cpu::fetch_to_write(to.codes + at * quantum + byte);
    }
    cpu::fetch_to_write(to.scale + at);
    cpu::fetch_to_write(to.scaled_sum + at);
    cpu::fetch_to_write(to.negative_sum + at);
    cpu::fetch_to_write(to.negative_halves + 2 * at);
  }

  Panel panel(std::uint32_t index) const {
    const std::size_t first = std::size_t{first_row(index)} * blocks_;
    const std::size_t cells = std::size_t{rows_} * blocks_;
    std::byte* base = memory_;
    Panel panel;
    panel.rows = std::min(panel_rows_, rows_ - first_row(index));
    panel.blocks = blocks_;
    if (base == nullptr) return panel;
    panel.codes = reinterpret_cast<std::int8_t*>(base) + first * quantum;
    base += cells * quantum;
    panel.scale = reinterpret_cast<float*>(base) + first;
    base += cells * sizeof(float);
    panel.scaled_sum = reinterpret_cast<float*>(base) + first;
    base += cells * sizeof(float);
    panel.negative_sum = reinterpret_cast<std::int32_t*>(base) + first;
    base += cells * sizeof(std::int32_t);
    panel.negative_halves = reinterpret_cast<std::int32_t*>(base) + 2 * first;
    return panel;
  }

 private:
  static constexpr std::size_t cell_bytes = quantum + 2 * sizeof(float) + 3 * sizeof(std::int32_t);

  std::byte* memory_ = nullptr;
  std::uint32_t rows_ = 0, blocks_ = 0, panels_ = 0, panel_rows_ = 0;
};

}  // namespace aorta::engine::cpu
