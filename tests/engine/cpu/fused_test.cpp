// A bias is added to the finished sums: the same bits for all rows, threads and instruction sets.
#include <memory>

#include "engine/backend.hpp"
#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

constexpr std::uint32_t outputs = 83, columns = 256, most_rows = 37;  // a last group of 3

TEST(Fused, BiasIsAddedToTheFinishedSum) {
  for (const char* name : {"F32", "Q8_0"}) {
    const WeightFormat& format = name[0] == 'F' ? format_f32 : format_q8_0;
    Random random(7);
    const RandomWeight weight(format, outputs, columns, random);
    const auto x = random.floats(most_rows * columns), bias = random.floats(outputs);
    for (const std::string& isa : available_isas()) {
      for (const std::uint32_t rows : {1u, 16u, most_rows}) {
        auto made = make_cpu_backend(isa, 3, most_rows);
        ASSERT_TRUE(made.ok()) << made.error().message;
        Backend* const backend = made->get();
        float* plain = backend->buffer(outputs);
        float* biased = backend->buffer(outputs);
        const Backend::Product products[] = {{&weight.weight, plain},
                                             {&weight.weight, biased, bias.data()}};
        backend->matmul({x.data(), rows}, products);
        for (std::uint32_t i = 0; i < rows * outputs; ++i) {
          ASSERT_EQ(biased[i], plain[i] + bias[i % outputs]) << name << " " << isa << " " << i;
        }
      }
    }
  }
}

// What is fused gives the bits of its parts, one after the other.
TEST(Fused, NormResidualAndGate) {
  for (const WeightFormat* format : {&format_f32, &format_q4_1}) {
    Random random(11);
    const RandomWeight gate(*format, outputs, columns, random), up(*format, outputs, columns, random);
    const auto x = random.floats(most_rows * columns), norm = random.floats(columns);
    const auto stream = random.floats(most_rows * outputs);
    for (const std::string& isa : available_isas()) {
      for (const std::uint32_t rows : {1u, 16u, most_rows}) {
        auto made = make_cpu_backend(isa, 3, most_rows);
        ASSERT_TRUE(made.ok()) << made.error().message;
        Backend* const backend = made->get();
        float* normed = backend->buffer(columns);
        float* parts[] = {backend->buffer(outputs), backend->buffer(outputs)};
        backend->rms_norm(x.data(), norm.data(), rows, columns, 1e-5f, normed);
        const Backend::Product apart[] = {{&gate.weight, parts[0]}, {&up.weight, parts[1]}};
        backend->matmul({normed, rows}, apart);
        float* sum = backend->buffer(outputs);
        std::copy_n(stream.data(), rows * outputs, sum);
        float* gated = backend->buffer(outputs);
        const Backend::Product residual[] = {{&gate.weight, sum, nullptr, true}};
        const Backend::Input input = {x.data(), rows, norm.data(), 1e-5f};
        backend->matmul(input, residual);
        backend->gated_matmul(input, gate.weight, up.weight, gated);
        kernels_scalar().silu_multiply(parts[0], parts[1], rows * outputs, parts[1]);
        for (std::uint32_t i = 0; i < rows * outputs; ++i) {
          ASSERT_EQ(sum[i], stream[i] + parts[0][i]) << format->name << " " << isa << " " << i;
          ASSERT_EQ(gated[i], parts[1][i]) << format->name << " " << isa << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace aorta::engine::cpu
