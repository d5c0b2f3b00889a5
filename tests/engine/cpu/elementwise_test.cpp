// Norms, activations, rotations and quantisation: against double precision, and every instruction
// set against the scalar kernels bit for bit.
#include <cmath>

#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

const std::uint32_t widths[] = {1, 5, 15, 16, 17, 31, 32, 100, 576, 1536};

using Elementwise = ByIsa;

TEST_P(Elementwise, RmsNorm) {
  for (std::uint32_t round = 0; round < 200; ++round) {
    const std::uint32_t width = widths[round % std::size(widths)];
    Random random(round);
    const auto x = random.floats(width, 3.0f), weight = random.floats(width);
    std::vector<float> out(width), expected(width);
    kernels_->rms_norm(x.data(), weight.data(), width, 1e-5f, out.data());
    scalar().rms_norm(x.data(), weight.data(), width, 1e-5f, expected.data());
    EXPECT_EQ(bits_of(out), bits_of(expected)) << width;
    double squares = 0.0;
    for (const float v : x) squares += double{v} * v;
    const double inverse = 1.0 / std::sqrt(squares / width + 1e-5);
    for (std::uint32_t i = 0; i < width; ++i) {
      EXPECT_NEAR(out[i], x[i] * inverse * weight[i], 2e-6 * (1.0 + std::abs(out[i])));
    }
  }
}

TEST_P(Elementwise, SiluMultiply) {
  for (const std::uint32_t size : widths) {
    Random random(size);
    auto gate = random.floats(size, 20.0f);
    const auto up = random.floats(size);
    if (size > 20) gate[3] = -200.0f, gate[4] = 200.0f, gate[5] = 0.0f, gate[6] = -87.3f;
    std::vector<float> out(size), expected(size);
    kernels_->silu_multiply(gate.data(), up.data(), size, out.data());
    scalar().silu_multiply(gate.data(), up.data(), size, expected.data());
    EXPECT_EQ(bits_of(out), bits_of(expected)) << size;
    for (std::uint32_t i = 0; i < size; ++i) {
      const double exact = gate[i] / (1.0 + std::exp(-double{gate[i]})) * up[i];
      EXPECT_NEAR(out[i], exact, 1e-6 * std::abs(exact) + 1e-30) << gate[i];
    }
  }
}

TEST_P(Elementwise, Rope) {
  for (const std::uint32_t size : {16u, 32u, 64u, 80u, 128u, 256u}) {
    Random random(size);
    const auto x = random.floats(size);
    std::vector<float> cos_sin(size);
    for (std::uint32_t i = 0; i < size; i += 2) {
      const double angle = random.normal(10.0f);
      cos_sin[i] = static_cast<float>(std::cos(angle));
      cos_sin[i + 1] = static_cast<float>(std::sin(angle));
    }
    auto out = x, expected = x;
    kernels_->rope(out.data(), cos_sin.data(), size);
    scalar().rope(expected.data(), cos_sin.data(), size);
    EXPECT_EQ(bits_of(out), bits_of(expected)) << size;
    for (std::uint32_t i = 0; i < size; i += 2) {
      EXPECT_NEAR(out[i], x[i] * cos_sin[i] - x[i + 1] * cos_sin[i + 1], 1e-6);
      EXPECT_NEAR(out[i + 1], x[i + 1] * cos_sin[i] + x[i] * cos_sin[i + 1], 1e-6);
    }
  }
}

TEST_P(Elementwise, Quantise) {
  constexpr std::uint32_t rows = 3, blocks = 5, columns = blocks * quantum;
  Random random(1);
  auto x = random.floats(rows * columns, 4.0f);
  for (std::uint32_t i = 0; i < quantum; ++i) x[i] = 0.0f;               // an all-zero block
  for (std::uint32_t i = 0; i < quantum; ++i) x[quantum + i] *= 1e-38f;  // one too small
  for (std::uint32_t i = 0; i < quantum; ++i) {                          // ties: halves
    x[2 * quantum + i] = i == 0 ? 127.0f : static_cast<float>(i) - 15.5f;
  }
  struct Storage {
    std::vector<std::int8_t> codes = std::vector<std::int8_t>(rows * columns);
    std::vector<float> scale = std::vector<float>(rows * blocks);
    std::vector<float> scaled_sum = std::vector<float>(rows * blocks);
    std::vector<std::int32_t> negative_sum = std::vector<std::int32_t>(rows * blocks);
    std::vector<std::int32_t> negative_halves = std::vector<std::int32_t>(2 * rows * blocks);
    Panel panel() {
      return {rows,
              blocks,
              codes.data(),
              scale.data(),
              scaled_sum.data(),
              negative_sum.data(),
              negative_halves.data()};
    }
  } out, expected;
  // In four parts: cells are independent of each other.
  const auto part = [&](std::uint32_t row, std::uint32_t end_row, std::uint32_t block,
                        std::uint32_t end_block) {
    kernels_->quantise(x.data() + row * columns + block * quantum, columns, out.panel(),
                       {row, end_row, block, end_block});
  };
  part(0, 1, 0, 2), part(1, rows, 0, 2);
  part(0, 2, 2, blocks), part(2, rows, 2, blocks);
  scalar().quantise(x.data(), columns, expected.panel(), {0, rows, 0, blocks});
  EXPECT_EQ(out.codes, expected.codes);
  EXPECT_EQ(bits_of(out.scale), bits_of(expected.scale));
  EXPECT_EQ(bits_of(out.scaled_sum), bits_of(expected.scaled_sum));
  EXPECT_EQ(out.negative_sum, expected.negative_sum);
  EXPECT_EQ(out.negative_halves, expected.negative_halves);

  for (std::uint32_t row = 0; row < rows; ++row) {
    for (std::uint32_t block = 0; block < blocks; ++block) {
      const std::uint32_t at = block * rows + row;
      std::int32_t halves[2] = {};
      for (std::uint32_t i = 0; i < quantum; ++i) {
        const std::int32_t code = out.codes[at * quantum + i];
        halves[i / 16] += code;
        EXPECT_NEAR(code * out.scale[at], x[row * columns + block * quantum + i],
                    out.scale[at] * 0.5001f + 1e-30f);
      }
      EXPECT_EQ(out.negative_halves[2 * at], -halves[0]);
      EXPECT_EQ(out.negative_halves[2 * at + 1], -halves[1]);
      EXPECT_EQ(out.negative_sum[at], -(halves[0] + halves[1]));
    }
  }
  EXPECT_EQ(out.scale[0], 0.0f);
  EXPECT_EQ(out.scale[1 * rows], 0.0f);
  // -0.5 and 0.5 go to 0, 1.5 and 2.5 to 2: half to even.
  const std::int8_t* ties = out.codes.data() + 2 * rows * quantum;
  EXPECT_EQ(ties[15], 0);
  EXPECT_EQ(ties[16], 0);
  EXPECT_EQ(ties[17], 2);
  EXPECT_EQ(ties[18], 2);
}

INSTANTIATE_TEST_SUITE_P(, Elementwise, testing::Values("scalar", "avx2", "avxvnni", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace aorta::engine::cpu
