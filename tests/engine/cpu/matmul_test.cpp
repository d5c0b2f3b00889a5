// Matrix products through the backend: every format, odd shapes, several threads. Against double
// precision within what int8 activations cost, and against the scalar kernels bit for bit.
#include <cmath>

#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

struct Shape {
  std::uint32_t rows, outputs, columns;
};
const Shape shapes[] = {{1, 16, 32},  {2, 5, 64},   {3, 48, 96},  {4, 33, 160}, {7, 16, 576},
                        {12, 40, 64}, {13, 64, 96}, {25, 17, 64}, {64, 96, 288}};

std::vector<float> multiply(const std::string& isa, std::uint32_t threads, const Shape& shape,
                            const Weight& weight, const std::vector<float>& x) {
  auto backend = make_cpu_backend(isa, threads, shape.rows);
  EXPECT_TRUE(backend.ok());
  std::vector<float> out(std::size_t{shape.rows} * shape.outputs, -1.0f);
  const Backend::Product product[] = {{&weight, out.data()}};
  (*backend)->matmul(x.data(), shape.rows, product);
  return out;
}

using Matmul = ByIsa;

TEST_P(Matmul, EveryFormatAndShape) {
  for (const WeightFormat* format :
       {&format_f32, &format_f16, &format_q4_0, &format_q4_1, &format_q8_0}) {
    for (const Shape& shape : shapes) {
      Random random(shape.rows * 1000 + shape.columns);
      const RandomWeight weight(*format, shape.outputs, shape.columns, random);
      const auto x = random.floats(std::size_t{shape.rows} * shape.columns);
      const auto out = multiply(GetParam(), 1, shape, weight.weight, x);
      const std::string where = std::string(format->name) + " " + std::to_string(shape.rows) +
                                " × " + std::to_string(shape.outputs) + " × " +
                                std::to_string(shape.columns);
      EXPECT_EQ(bits_of(out), bits_of(multiply("scalar", 1, shape, weight.weight, x))) << where;
      EXPECT_EQ(bits_of(out), bits_of(multiply(GetParam(), 3, shape, weight.weight, x))) << where;

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

TEST_P(Matmul, ProductsThatShareTheirInput) {
  Random random(5);
  const RandomWeight q(format_q4_1, 48, 64, random), k(format_q8_0, 20, 64, random),
      v(format_f32, 33, 64, random);
  const auto x = random.floats(6 * 64);
  auto backend = make_cpu_backend(GetParam(), 2, 6);
  ASSERT_TRUE(backend.ok());
  std::vector<float> out_q(6 * 48), out_k(6 * 20), out_v(6 * 33);
  const Backend::Product products[] = {
      {&q.weight, out_q.data()}, {&k.weight, out_k.data()}, {&v.weight, out_v.data()}};
  (*backend)->matmul(x.data(), 6, products);
  EXPECT_EQ(out_q, multiply("scalar", 1, {6, 48, 64}, q.weight, x));
  EXPECT_EQ(out_k, multiply("scalar", 1, {6, 20, 64}, k.weight, x));
  EXPECT_EQ(out_v, multiply("scalar", 1, {6, 33, 64}, v.weight, x));
}

// The largest codes and activations there are: integer sums must not saturate on the way.
TEST_P(Matmul, ExtremesDoNotSaturate) {
  for (const WeightFormat* format : {&format_q4_0, &format_q4_1, &format_q8_0}) {
    for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
      Random random(1);
      RandomWeight weight(*format, 16, 64, random);
      const std::size_t codes = format->type == WeightType::q4_1 ? 4 : 2;
      for (std::size_t at = 0; at < weight.gguf.size(); at += format->block_bytes) {
        std::memset(&weight.gguf[at + codes], fill, format->block_bytes - codes);
      }
      const std::byte* rows[lanes];
      for (std::uint32_t i = 0; i < lanes; ++i) {
        rows[i] = &weight.gguf[i * 64 / 32 * format->block_bytes];
      }
      format->pack_group(rows, 64, const_cast<std::byte*>(weight.weight.data));
      for (const float sign : {1.0f, -1.0f}) {
        const std::vector<float> x(2 * 64, sign * 127.0f);
        const auto out = multiply(GetParam(), 1, {2, 16, 64}, weight.weight, x);
        const auto w = weight.unpacked();
        for (std::uint32_t n = 0; n < 16; ++n) {
          double exact = 0.0;
          for (std::uint32_t i = 0; i < 64; ++i) exact += double{w[n * 64 + i]} * x[i];
          EXPECT_NEAR(out[n], exact, 1e-5 * std::abs(exact) + 1e-3)
              << format->name << " " << fill << " " << sign;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Matmul, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace aorta::engine::cpu
