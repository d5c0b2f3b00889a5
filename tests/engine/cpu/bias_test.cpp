// A bias is added to the finished sums: the same bits for all rows, threads and instruction sets.
#include <memory>

#include "engine/backend.hpp"
#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

constexpr std::uint32_t outputs = 83, columns = 256, most_rows = 37;  // a last group of 3

TEST(Bias, IsAddedToTheFinishedSum) {
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
        backend->matmul(x.data(), rows, products);
        for (std::uint32_t i = 0; i < rows * outputs; ++i) {
          ASSERT_EQ(biased[i], plain[i] + bias[i % outputs]) << name << " " << isa << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace aorta::engine::cpu
