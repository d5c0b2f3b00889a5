// Packing loses nothing: each format's rows, packed and unpacked, are bit for bit what GGUF's own
// dequantisation makes of the same blocks (tests/golden/blocks).
#include "engine/cpu/weight_formats.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <set>

#include "tests/engine/cpu/cpu_helpers.hpp"

namespace aorta::engine::cpu {
namespace {

template <class T>
std::vector<T> read(std::istream& in, std::size_t count) {
  std::vector<T> values(count);
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
  return values;
}

TEST(WeightFormats, UnpackAsGgufDoes) {
  std::ifstream in(AORTA_SOURCE_DIR "/tests/golden/blocks/dequantised.bin", std::ios::binary);
  std::set<std::string> seen;
  for (auto head = read<std::uint32_t>(in, 4); in; head = read<std::uint32_t>(in, 4)) {
    const std::uint32_t rows = head[1], columns = head[2], row_bytes = head[3];
    const auto blocks = read<std::byte>(in, std::size_t{rows} * row_bytes);
    const auto expected = read<float>(in, std::size_t{rows} * columns);
    ASSERT_TRUE(in);
    const WeightFormat* format = find_weight_format(head[0]);
    ASSERT_NE(format, nullptr) << head[0];
    ASSERT_EQ(columns / format->block_elements * format->block_bytes, row_bytes) << format->name;
    seen.insert(format->name);
    const std::byte* sources[lanes] = {};
    // Not from the first lane on, so that lanes must not be mixed up.
    for (std::uint32_t row = 0; row < rows; ++row) sources[5 * row + 1] = &blocks[row * row_bytes];
    std::vector<std::byte> group(format->group_bytes(columns));
    format->pack_group(sources, columns, group.data());
    std::vector<float> values(columns);
    for (std::uint32_t row = 0; row < rows; ++row) {
      format->unpack_row(group.data(), 5 * row + 1, columns, values.data());
      const auto at = expected.begin() + row * std::ptrdiff_t{columns};
      EXPECT_EQ(bits_of(values), bits_of({at, at + columns})) << format->name;
    }
  }
  seen.insert("F32");  // there is nothing to dequantise
  std::set<std::string> all;
  for (const WeightFormat* format : all_formats) all.insert(format->name);
  EXPECT_EQ(seen, all);
}

// A pack costs the bits that GGUF gives, and where integer scales are kept beside f16 ones, at most
// an eighth of a bit more.
TEST(WeightFormats, KeepTheirBits) {
  for (const WeightFormat* format : all_formats) {
    constexpr std::uint32_t columns = 1024;
    const double gguf = 8.0 * format->block_bytes / format->block_elements;
    const double packed = 8.0 * static_cast<double>(format->group_bytes(columns)) / lanes / columns;
    EXPECT_GE(packed, gguf) << format->name;
    EXPECT_LE(packed, gguf + 0.125) << format->name;
  }
}

}  // namespace
}  // namespace aorta::engine::cpu
