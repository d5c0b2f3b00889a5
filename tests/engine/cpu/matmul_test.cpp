// Matrix products through the backend: every format, odd shapes, several threads. Against double
// precision within what int8 activations cost, and against the scalar kernels bit for bit.
#include <cmath>
#include <memory>

#include "engine/cpu/cpu_backend.hpp"
#include "tests/engine/cpu/cpu_helpers.hpp"
#include "tests/engine/cpu/evex_kernels.hpp"

namespace aorta::engine::cpu {
namespace {

struct Shape {
  std::uint32_t rows, outputs, columns;
};
const Shape shapes[] = {{1, 16, 32},   {2, 5, 64},   {3, 48, 96},  {4, 33, 160},
                        {7, 16, 576},  {12, 40, 64}, {13, 64, 96}, {25, 17, 64},
                        {64, 96, 288}, {2, 18, 256}, {5, 33, 512}, {12, 16, 768}};

std::vector<float> multiply(const Kernels& kernels, std::uint32_t threads, const Shape& shape,
                            const Weight& weight, const std::vector<float>& x) {
  CpuBackend backend(kernels, std::make_shared<ThreadPool>(threads), shape.rows);
  std::vector<float> out(std::size_t{shape.rows} * shape.outputs, -1.0f);
  const Backend::Product product[] = {{&weight, out.data()}};
  backend.matmul({x.data(), shape.rows}, product);
  return out;
}

std::string describe(const WeightFormat& format, const Shape& shape) {
  return std::string(format.name) + " " + std::to_string(shape.rows) + " × " +
         std::to_string(shape.outputs) + " × " + std::to_string(shape.columns);
}

// By instruction set, and "evex": AVX-VNNI's kernels as a machine with AVX-512 can run them.
class Matmul : public ByIsa {
 protected:
  void SetUp() override {
    if (GetParam() != "evex") return ByIsa::SetUp();
    const auto avx512 = select_kernels("avx512");
    if (!avx512.ok()) GTEST_SKIP() << "not run: " << avx512.error().message;
    kernels_ = &kernels_evex();
  }
};

TEST_P(Matmul, EveryFormatAndShape) {
  for (const WeightFormat* format : all_formats) {
    for (const Shape& shape : shapes) {
      if (shape.columns % format->block_elements != 0) continue;
      Random random(shape.rows * 1000 + shape.columns);
      const RandomWeight weight(*format, shape.outputs, shape.columns, random);
      const auto x = random.floats(std::size_t{shape.rows} * shape.columns);
      const auto out = multiply(*kernels_, 1, shape, weight.weight, x);
      const std::string where = describe(*format, shape);
      EXPECT_EQ(bits_of(out), bits_of(multiply(scalar(), 1, shape, weight.weight, x))) << where;
      EXPECT_EQ(bits_of(out), bits_of(multiply(*kernels_, 3, shape, weight.weight, x))) << where;

      const auto w = weight.unpacked();
      for (std::uint32_t row = 0; row < shape.rows; ++row) {
        for (std::uint32_t n = 0; n < shape.outputs; ++n) {
          double exact = 0.0, size = 0.0;
          for (std::uint32_t k = 0; k < shape.columns; ++k) {
            const double product = double{x[row * shape.columns + k]} * w[n * shape.columns + k];
            exact += product;
            size += product * product;
          }
          // An activation is off by up to 1/254 of its block's largest, here about 3 deviations.
          const double noise = format->quantised ? 0.06 : 1e-5;
          EXPECT_NEAR(out[row * shape.outputs + n], exact, noise * std::sqrt(size) + 1e-6)
              << where << " at " << row << ", " << n;
        }
      }
    }
  }
}

// However many rows share a panel, each has the bits that the scalar kernels give it alone.
TEST_P(Matmul, EveryNumberOfRows) {
  constexpr std::uint32_t most = 40;
  for (const WeightFormat* format : all_formats) {
    for (const std::uint32_t outputs : {16u, 23u}) {
      const std::uint32_t columns = std::max(96u, 2 * format->block_elements);
      Random random(outputs);
      const RandomWeight weight(*format, outputs, columns, random);
      const auto x = random.floats(std::size_t{most} * columns);
      std::vector<float> expected;
      for (std::uint32_t row = 0; row < most; ++row) {
        const auto at = x.begin() + row * std::ptrdiff_t{columns};
        const std::vector<float> alone(at, at + columns);
        const auto out = multiply(scalar(), 1, {1, outputs, columns}, weight.weight, alone);
        expected.insert(expected.end(), out.begin(), out.end());
      }
      for (std::uint32_t rows = 1; rows <= most; ++rows) {
        const Shape shape = {rows, outputs, columns};
        const auto out = multiply(*kernels_, 1 + rows % 2, shape, weight.weight, x);
        const std::vector<float> wanted(expected.begin(),
                                        expected.begin() + rows * std::ptrdiff_t{outputs});
        ASSERT_EQ(bits_of(out), bits_of(wanted)) << describe(*format, shape);
      }
    }
  }
}

TEST_P(Matmul, ProductsThatShareTheirInput) {
  Random random(5);
  const RandomWeight q(format_q4_1, 48, 64, random), k(format_q5_1, 20, 64, random),
      v(format_f32, 33, 64, random);
  const auto x = random.floats(6 * 64);
  CpuBackend backend(*kernels_, std::make_shared<ThreadPool>(2), 6);
  std::vector<float> out_q(6 * 48), out_k(6 * 20), out_v(6 * 33);
  const Backend::Product products[] = {
      {&q.weight, out_q.data()}, {&k.weight, out_k.data()}, {&v.weight, out_v.data()}};
  backend.matmul({x.data(), 6}, products);
  EXPECT_EQ(out_q, multiply(scalar(), 1, {6, 48, 64}, q.weight, x));
  EXPECT_EQ(out_k, multiply(scalar(), 1, {6, 20, 64}, k.weight, x));
  EXPECT_EQ(out_v, multiply(scalar(), 1, {6, 33, 64}, v.weight, x));
}

// The largest codes and activations there are: integer sums must not saturate on the way.
TEST_P(Matmul, ExtremesDoNotSaturate) {
  for (const WeightFormat* format : all_formats) {
    if (!format->quantised) continue;
    const std::uint32_t columns = std::max(64u, format->block_elements);
    const std::size_t row_bytes = columns / format->block_elements * format->block_bytes;
    for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
      Random random(1);
      RandomWeight weight(*format, 16, columns, random);
      const std::size_t begin = RandomWeight::codes_begin(format->type);
      const std::size_t end = RandomWeight::codes_end(*format);
      for (std::size_t at = 0; at < weight.gguf.size(); at += format->block_bytes) {
        std::memset(&weight.gguf[at + begin], fill, end - begin);
      }
      const std::byte* rows[lanes];
      for (std::uint32_t i = 0; i < lanes; ++i) rows[i] = &weight.gguf[i * row_bytes];
      auto* group = const_cast<std::byte*>(weight.weight.data);
      std::memset(group, 0, format->group_bytes(columns));
      format->pack_group(rows, columns, group);
      for (const float sign : {1.0f, -1.0f}) {
        const std::vector<float> x(2 * columns, sign * 127.0f);
        const auto out = multiply(*kernels_, 1, {2, 16, columns}, weight.weight, x);
        const auto w = weight.unpacked();
        for (std::uint32_t n = 0; n < 16; ++n) {
          double exact = 0.0, size = 0.0;
          for (std::uint32_t i = 0; i < columns; ++i) {
            exact += double{w[n * columns + i]} * x[i];
            size += std::abs(double{w[n * columns + i]} * x[i]);
          }
          EXPECT_NEAR(out[n], exact, 1e-5 * size + 1e-3)
              << format->name << " " << fill << " " << sign;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Matmul, testing::Values("scalar", "avx2", "avxvnni", "evex", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace aorta::engine::cpu
