#pragma once
// Random inputs and weights for the op tests. Every test prints its seed when it fails.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/isa.hpp"
#include "engine/cpu/weight_formats.hpp"

namespace aorta::engine::cpu {

inline constexpr std::uint32_t seed = 20240607;

class Random {
 public:
  explicit Random(std::uint32_t extra) : engine_(seed + extra) {}
  float normal(float deviation) { return std::normal_distribution<float>(0, deviation)(engine_); }
  std::uint32_t below(std::uint32_t n) { return engine_() % n; }
  std::vector<float> floats(std::size_t size, float deviation = 1.0f) {
    std::vector<float> values(size);
    for (float& value : values) value = normal(deviation);
    return values;
  }

 private:
  std::mt19937 engine_;
};

inline std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
  return bits;
}

// A weight with random GGUF blocks, packed.
struct RandomWeight {
  RandomWeight(const WeightFormat& f, std::uint32_t rows, std::uint32_t columns, Random& random)
      : format(f) {
    const std::size_t row_bytes = columns / f.block_elements * f.block_bytes;
    gguf.resize(row_bytes * rows);
    for (std::byte& byte : gguf) byte = static_cast<std::byte>(random.below(256));
    for (std::size_t at = 0; at < gguf.size(); at += f.block_bytes) {
      put_scales(&gguf[at], random);
    }
    bytes.resize(packed_bytes(f, rows, columns) + 64);
    void* start = bytes.data();
    std::size_t space = bytes.size();
    auto* aligned = static_cast<std::byte*>(std::align(64, bytes.size() - 64, start, space));
    for (std::uint32_t first = 0; first < rows; first += lanes) {
      const std::byte* group[lanes] = {};
      for (std::uint32_t i = 0; i < std::min(lanes, rows - first); ++i) {
        group[i] = gguf.data() + (first + i) * row_bytes;
      }
      f.pack_group(group, columns, aligned + first / lanes * f.group_bytes(columns));
    }
    weight = {f.type, rows, columns, aligned};
  }
  // As floats, [rows][columns].
  std::vector<float> unpacked() const {
    std::vector<float> values(std::size_t{weight.rows} * weight.columns);
    for (std::uint32_t row = 0; row < weight.rows; ++row) {
      format.unpack_row(weight.data + row / lanes * format.group_bytes(weight.columns), row % lanes,
                        weight.columns, values.data() + row * weight.columns);
    }
    return values;
  }

  // Where a block's codes begin, and end.
  static std::size_t codes_begin(WeightType type) {
    switch (type) {
      case WeightType::q6_k:
        return 0;
      case WeightType::q4_1:
      case WeightType::q5_1:
        return 4;
      case WeightType::q4_k:
      case WeightType::q5_k:
        return 16;
      default:
        return 2;
    }
  }
  static std::size_t codes_end(const WeightFormat& f) {
    return f.type == WeightType::q6_k ? 192 : f.block_bytes;
  }

  const WeightFormat& format;
  std::vector<std::byte> gguf;
  std::vector<std::byte> bytes;
  Weight weight;

 private:
  // Random bytes are no sensible floats: the block's own, and d and m of quantised ones.
  void put_scales(std::byte* block, Random& random) const {
    const auto put_half = [&](std::size_t at, float deviation) {
      const std::uint16_t half = float_to_half(random.normal(deviation));
      std::memcpy(block + at, &half, 2);
    };
    const float value = random.normal(0.1f);
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    switch (format.type) {
      case WeightType::f32:
        std::memcpy(block, &value, 4);
        break;
      case WeightType::bf16:
        std::memcpy(block, reinterpret_cast<const std::byte*>(&bits) + 2, 2);
        break;
      case WeightType::f16:
        put_half(0, 0.1f);
        break;
      case WeightType::q6_k:
        put_half(208, 0.0005f);
        break;
      case WeightType::q4_k:
      case WeightType::q5_k:
        put_half(0, 0.0005f);
        put_half(2, 0.0005f);
        break;
      default:
        put_half(0, 0.02f);
        if (codes_begin(format.type) == 4) put_half(2, 0.02f);
    }
  }
};

// Of every type that a pack may hold.
inline const WeightFormat* const all_formats[] = {
    &format_f32,  &format_f16,  &format_bf16, &format_q4_0, &format_q4_1, &format_q5_0,
    &format_q5_1, &format_q8_0, &format_q4_k, &format_q5_k, &format_q6_k};

// For tests of each instruction set against the scalar kernels.
class ByIsa : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto kernels = select_kernels(GetParam());
    if (!kernels.ok()) GTEST_SKIP() << "not run: " << kernels.error().message;
    kernels_ = *kernels;
  }
  const Kernels& scalar() const { return kernels_scalar(); }
  const Kernels* kernels_ = nullptr;
};

}  // namespace aorta::engine::cpu
