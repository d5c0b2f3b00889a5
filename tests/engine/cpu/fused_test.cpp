// What ops do in one pass: the same bits as one after the other, for all rows, threads and
// instruction sets.
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
    const RandomWeight gate(*format, outputs, columns, random),
        up(*format, outputs, columns, random);
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

// Rows that are left quantised give the product that they give as floats, however many threads
// quantise them, each for itself or each a part.
TEST(Fused, GatedRowsLeftQuantised) {
  constexpr std::uint32_t gated_width = 96;
  Random random(13);
  const RandomWeight gate(format_q4_1, gated_width, columns, random);
  const RandomWeight up(format_q8_0, gated_width, columns, random);
  const RandomWeight down(format_q4_0, outputs, gated_width, random);
  const auto x = random.floats(most_rows * columns), norm = random.floats(columns);
  for (const std::string& isa : available_isas()) {
    std::vector<float> first;
    for (const std::uint32_t threads : {1u, 3u, 9u}) {
      auto made = make_cpu_backend(isa, threads, most_rows);
      ASSERT_TRUE(made.ok()) << made.error().message;
      Backend* const backend = made->get();
      for (const Backend::Form form : {Backend::Form::floats, Backend::Form::quantised}) {
        float* gated = backend->buffer(gated_width);
        float* out = backend->buffer(outputs);
        backend->gated_matmul({x.data(), most_rows, norm.data(), 1e-5f}, gate.weight, up.weight,
                              gated, form);
        const Backend::Product product[] = {{&down.weight, out}};
        backend->matmul({gated, most_rows, nullptr, 0.0f, form}, product);
        const std::vector<float> values(out, out + most_rows * outputs);
        if (first.empty()) first = values;
        ASSERT_EQ(bits_of(values), bits_of(first)) << isa << " " << threads;
      }
    }
  }
}

TEST(Fused, AttendedRowsLeftQuantisedAndKvFetchedAhead) {
  constexpr AttentionShape shape = {6, 2, 32};
  constexpr std::uint32_t width = 6 * 32, kv_width = 2 * 32, rows = 21, blocks = 40;
  Random random(17);
  const RandomWeight weight(format_q4_1, outputs, width, random);
  const auto q = random.floats(rows * width), k = random.floats(rows * kv_width);
  const auto v = random.floats(rows * kv_width);
  std::vector<float> angles;
  for (std::uint32_t i = 0; i < 400 * shape.head_size; i += 2) {
    angles.insert(angles.end(), {0.8f, 0.6f});
  }
  // A chunk, a sequence's beginning, and decodes.
  const std::uint32_t table[blocks] = {3,  7,  1,  9,  2,  12, 5,  8,  11, 4,  6,  10, 13, 14,
                                       15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
  const RowSpan spans[] = {{0, 14, 20, {table, 3}},
                           {14, 4, 0, {table + 3, 1}},
                           {18, 1, 300, {table + 4, 20}},
                           {19, 1, 15, {table + 24, 1}},
                           {20, 1, 16, {table + 25, 2}}};
  for (const std::string& isa : available_isas()) {
    std::vector<float> first;
    for (const std::uint32_t threads : {1u, 2u, 9u}) {
      for (const Backend::Form form : {Backend::Form::floats, Backend::Form::quantised}) {
        auto made = make_cpu_backend(isa, threads, rows);
        ASSERT_TRUE(made.ok()) << made.error().message;
        Backend* const backend = made->get();
        ASSERT_TRUE(backend->reserve_kv(1, blocks, shape).ok());
        auto turned_q = q, turned_k = k;
        backend->rope_and_store(0, angles.data(), spans, turned_q.data(), turned_k.data(),
                                v.data());
        float* attended = backend->buffer(width);
        float* out = backend->buffer(outputs);
        backend->attention(0, 0.2f, spans, turned_q.data(), attended, form);
        backend->fetch_kv(0, spans);
        const Backend::Product product[] = {{&weight.weight, out}};
        backend->matmul({attended, rows, nullptr, 0.0f, form}, product);
        const std::vector<float> values(out, out + rows * outputs);
        if (first.empty()) first = values;
        ASSERT_EQ(bits_of(values), bits_of(first)) << isa << " " << threads;
      }
    }
  }
}

}  // namespace
}  // namespace aorta::engine::cpu
