#include "engine/cpu/cpu_backend.hpp"

#include <algorithm>
#include <cstring>

#include "engine/cpu/isa.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {
namespace {

const WeightFormat& format_of(const Weight& weight) {
  const WeightFormat* format = find_weight_format(static_cast<std::uint32_t>(weight.type));
  AORTA_CHECK(format != nullptr, "a weight of a type that the pack should have refused");
  return *format;
}

}  // namespace

CpuBackend::CpuBackend(const Kernels& kernels, std::shared_ptr<ThreadPool> pool,
                       std::uint32_t max_rows)
    : kernels_(kernels),
      max_rows_(max_rows),
      pool_(std::move(pool)),
      ahead_(pool_->size()),
      own_normed_(pool_->size()),
      own_quantised_(pool_->size()) {}

std::string CpuBackend::name() const { return std::string("cpu-") + kernels_.name; }

float* CpuBackend::buffer(std::uint32_t width) {
  auto memory =
      Memory::reserve(std::size_t{max_rows_} * width * sizeof(float), "activations of a step");
  AORTA_CHECK(memory.ok(), "no address space for activations");
  buffers_.push_back(std::move(*memory));
  return reinterpret_cast<float*>(buffers_.back().data());
}

std::span<const float> CpuBackend::read(const float* buffer, std::size_t size) {
  return {buffer, size};
}

Result<void> CpuBackend::reserve_kv(std::uint32_t layers, std::uint32_t blocks,
                                    const AttentionShape& shape) {
  AORTA_CHECK(shape.head_size % lanes == 0 && shape.head_size <= max_head_size,
              "the attention kernel takes head sizes that are multiples of 16, up to 256");
  return kv_.reserve(layers, blocks, shape);
}

void CpuBackend::embed(const Weight& table, std::span<const TokenId> ids, float* out) {
  const WeightFormat& format = format_of(table);
  const FloatEnvironment environment;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(ids[i]);
    AORTA_CHECK(id < table.rows, "a token id outside the vocabulary reached the model");
    const std::byte* group = table.data + id / lanes * format.group_bytes(table.columns);
    format.unpack_row(group, id % lanes, table.columns, out + i * table.columns);
  }
}

void CpuBackend::gather(const float* x, std::span<const std::uint32_t> rows, std::uint32_t width,
                        float* out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out + i * width, x + std::size_t{rows[i]} * width, width * sizeof(float));
  }
}

void CpuBackend::rms_norm(const float* x, const float* weight, std::uint32_t rows,
                          std::uint32_t width, float epsilon, float* out) {
  share(rows, std::size_t{rows} * width, [&](Range r) {
    for (std::size_t row = r.begin; row < r.end; ++row) {
      kernels_.rms_norm(x + row * width, weight, width, epsilon, out + row * width);
    }
  });
}

Result<std::unique_ptr<Backend>> make_backend(const std::string& isa,
                                              std::shared_ptr<ThreadPool> pool,
                                              std::uint32_t max_rows) {
  auto kernels = select_kernels(isa);
  if (!kernels) return kernels.error();
  return std::unique_ptr<Backend>(
      std::make_unique<CpuBackend>(**kernels, std::move(pool), max_rows));
}

}  // namespace aorta::engine::cpu

namespace aorta::engine {

Result<std::unique_ptr<Backend>> make_cpu_backend(const std::string& isa, std::uint32_t threads,
                                                  std::uint32_t max_rows) {
  return cpu::make_backend(isa, std::make_shared<cpu::ThreadPool>(std::max(threads, 1u)), max_rows);
}

}  // namespace aorta::engine
