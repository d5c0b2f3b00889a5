#include "engine/model/gguf.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "engine/model/gguf_parse.hpp"
#include "engine/model/gguf_types.hpp"
#include "tests/engine/model/gguf_builder.hpp"

namespace aorta::engine {
namespace {

constexpr std::uint32_t f32 = 0, q4_0 = 2;

Result<std::shared_ptr<const GgufFile>> parse(const std::string& bytes) {
  return parse_gguf(std::as_bytes(std::span(bytes)), "model.gguf");
}

// Every value type, one array of each kind, two tensors.
GgufBuilder valid() {
  using B = GgufBuilder;
  GgufBuilder builder;
  builder.text("general.architecture", "llama")
      .raw("a.u8", 0, B::number<std::uint8_t>(200))
      .raw("a.i8", 1, B::number<std::int8_t>(-5))
      .raw("a.u16", 2, B::number<std::uint16_t>(65000))
      .raw("a.i16", 3, B::number<std::int16_t>(-300))
      .u32("a.u32", 4'000'000'000u)
      .raw("a.i32", 5, B::number<std::int32_t>(-70000))
      .raw("a.f32", 6, B::number(0.5f))
      .raw("a.true", 7, B::number<std::uint8_t>(1))
      .raw("a.u64", 10, B::number<std::uint64_t>(1ull << 63))
      .raw("a.i64", 11, B::number<std::int64_t>(1ll << 40))
      .raw("a.f64", 12, B::number(0.25))
      .texts("a.texts", {"x", "", "zz"})
      .i32s("a.ints", {1, -2, 3})
      .raw("a.floats", 9,
           B::number<std::uint32_t>(6) + B::number<std::uint64_t>(2) + B::number(1.5f) +
               B::number(-2.f))
      .tensor("first", {32, 2}, q4_0, 0)
      .tensor("second", {3}, f32, 64)
      .data(76);
  return builder;
}

TEST(Gguf, ReadsEveryKindOfValue) {
  const std::string bytes = valid().build();
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  const GgufFile& gguf = **file;
  EXPECT_EQ(gguf.get_string("general.architecture"), "llama");
  EXPECT_EQ(gguf.get_uint("a.u8"), 200u);
  EXPECT_EQ(gguf.get_uint("a.u16"), 65000u);
  EXPECT_EQ(gguf.get_uint("a.u32"), 4'000'000'000u);
  EXPECT_EQ(gguf.get_uint("a.u64"), 1ull << 63);
  EXPECT_EQ(gguf.get_uint("a.i64"), 1ull << 40);
  EXPECT_EQ(gguf.get_uint("a.i8"), std::nullopt);  // negative
  EXPECT_EQ(gguf.get_uint("a.f32"), std::nullopt);
  EXPECT_EQ(gguf.get_uint("a.absent"), std::nullopt);
  EXPECT_EQ(gguf.get_float("a.f32"), 0.5);
  EXPECT_EQ(gguf.get_float("a.f64"), 0.25);
  EXPECT_EQ(gguf.get_bool("a.true"), true);
  EXPECT_EQ(gguf.get_bool("a.u8"), std::nullopt);
  EXPECT_EQ(gguf.get_string("a.texts"), std::nullopt);
  EXPECT_EQ(gguf.get_strings("a.texts"), (std::vector<std::string_view>{"x", "", "zz"}));
  EXPECT_EQ(gguf.get_ints("a.ints"), (std::vector<std::int32_t>{1, -2, 3}));
  EXPECT_EQ(gguf.get_floats("a.floats"), (std::vector<float>{1.5f, -2.f}));
  EXPECT_EQ(gguf.get_ints("a.floats"), std::nullopt);
  const auto entries = gguf.metadata();
  ASSERT_EQ(entries.size(), 15u);
  EXPECT_EQ(entries[2].summary, "-5");
  EXPECT_EQ(entries[9].summary, "9223372036854775808");
  EXPECT_EQ(entries[12].type, "array[string]");
  EXPECT_EQ(entries[12].summary, "[x, , zz] (3 values)");
}

TEST(Gguf, PlacesTensors) {
  const std::string bytes = valid().build();
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ((*file)->tensors().size(), 2u);
  const GgufTensor* second = (*file)->find("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->dims, std::vector<std::uint64_t>{3});
  EXPECT_EQ(second->data.size(), 12u);
  EXPECT_EQ(second->data[0], std::byte{64});
  EXPECT_EQ((*file)->find("first")->data.size(), 36u);
  EXPECT_EQ((*file)->find("third"), nullptr);
}

TEST(Gguf, OpensTheTinyGoldens) {
  const std::string folder = std::string(AORTA_SOURCE_DIR) + "/tests/golden/models/gguf/";
  for (const char* name :
       {"tiny-llama-gqa.Q4_0.gguf", "tiny-llama-gqa.Q8_0.gguf", "tiny-llama3-rope.F16.gguf"}) {
    const auto file = GgufFile::open(folder + name);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ((*file)->get_string("general.architecture"), "llama");
    EXPECT_EQ((*file)->get_strings("tokenizer.ggml.tokens")->size(), 512u);
    EXPECT_GT((*file)->tensors().size(), 20u);
  }
}

void expect_error(const std::string& bytes, ErrorCode code, std::string_view part) {
  const auto file = parse(bytes);
  ASSERT_FALSE(file) << part;
  EXPECT_EQ(file.error().code, code) << file.error().message;
  EXPECT_NE(file.error().message.find("model.gguf"), std::string::npos) << file.error().message;
  EXPECT_NE(file.error().message.find(part), std::string::npos) << file.error().message;
}

TEST(Gguf, RefusesAWrongHeader) {
  expect_error("", ErrorCode::corrupt, "does not begin with the letters GGUF");
  expect_error("GG", ErrorCode::corrupt, "does not begin");
  expect_error("{\"json\": 1, \"padding\": 0}", ErrorCode::corrupt, "does not begin");
  GgufBuilder old = valid();
  old.version = 2;
  expect_error(old.build(), ErrorCode::unsupported, "GGUF version 2");
  old.version = 0x03000000;
  expect_error(old.build(), ErrorCode::unsupported, "big-endian");
  for (const std::uint64_t count : {1ull << 60, ~0ull, 1000ull}) {
    GgufBuilder lying = valid();
    lying.metadata_count = count;
    expect_error(lying.build(), ErrorCode::corrupt, "");
    lying = valid();
    lying.tensor_count = count;
    expect_error(lying.build(), ErrorCode::corrupt, "");
  }
  GgufBuilder many;
  many.tensor_count = 1ull << 60;
  expect_error(many.build(), ErrorCode::corrupt, "claims 1152921504606846976 tensors");
  many.tensor_count = 0;
  many.metadata_count = 1ull << 60;
  expect_error(many.build(), ErrorCode::corrupt, "claims 1152921504606846976 metadata entries");
}

TEST(Gguf, RefusesLyingMetadata) {
  using B = GgufBuilder;
  const auto corrupt = ErrorCode::corrupt;
  const auto array = [](std::uint32_t type, std::uint64_t count, const std::string& bytes) {
    return GgufBuilder().raw("k", 9, B::number(type) + B::number(count) + bytes).build();
  };
  expect_error(B().raw("k", 8, B::number<std::uint64_t>(1ull << 62) + "abc").build(), corrupt,
               "metadata \"k\" claims 4611686018427387904 bytes");
  expect_error(array(4, 1ull << 60, "abcd"), corrupt, "claims 1152921504606846976 values");
  expect_error(array(4, (1ull << 62) + 1, "abcd"), corrupt, "claims 4611686018427387905 values");
  expect_error(array(8, 1ull << 60, "abcd"), corrupt, "of type string");
  expect_error(array(9, 1, B::number<std::uint32_t>(4) + B::number<std::uint64_t>(0)),
               ErrorCode::unsupported, "array of arrays");
  expect_error(array(77, 1, "abcd"), corrupt, "value type 77");
  expect_error(B().raw("k", 13, "abcd").build(), corrupt, "value type 13");
  expect_error(B().raw("k", 7, "\2").build(), corrupt, "a bool must be 0 or 1");
  expect_error(B().raw("", 7, "\1").build(), corrupt, "a key of 0 bytes");
  expect_error(valid().u32("a.u8", 1).build(), corrupt, "\"a.u8\" appears twice");
  expect_error(B().raw("\x1b[31m\xFF", 13, "abcd").build(), corrupt, "\"\\x1b[31m\\xff\"");
}

TEST(Gguf, RefusesImpossibleTensors) {
  const auto corrupt = ErrorCode::corrupt;
  const auto with = [](const std::vector<std::uint64_t>& dims, std::uint32_t type,
                       std::uint64_t offset) {
    return GgufBuilder().tensor("t", dims, type, offset).data(256).build();
  };
  EXPECT_TRUE(parse(with({4}, f32, 0)));
  expect_error(with({4}, 77, 0), ErrorCode::unsupported,
               "tensor \"t\" has the unknown ggml type 77");
  expect_error(with({4}, 4, 0), ErrorCode::unsupported, "unknown ggml type 4");
  expect_error(with({}, f32, 0), corrupt, "0 dimensions");
  expect_error(with({1, 1, 1, 1, 1}, f32, 0), corrupt, "5 dimensions");
  expect_error(with({4, 0}, f32, 0), corrupt, "dimension of 0");
  expect_error(with({1ull << 40, 1ull << 40}, f32, 0), corrupt, "overflows");
  expect_error(with({1ull << 62}, f32, 0), corrupt, "overflows");
  expect_error(with({33}, q4_0, 0), corrupt, "not a multiple of the 32");
  expect_error(with({4}, f32, 8), corrupt, "not aligned to 32");
  expect_error(with({65}, f32, 0), corrupt,
               "needs 260 bytes at offset 0 of the data, which has only 256");
  expect_error(with({4}, f32, ~0ull - 31), corrupt, "at offset");
  expect_error(with({4}, f32, 256), corrupt, "at offset 256");
  expect_error(valid().tensor("third", {8}, f32, 32).build(), corrupt, "overlap");
  expect_error(valid().tensor("first", {1}, f32, 96).data(200).build(), corrupt, "appears twice");
  expect_error(valid().u32("general.alignment", 24).build(), corrupt, "general.alignment is 24");
  expect_error(valid().u32("general.alignment", 0).build(), corrupt, "general.alignment is 0");
  GgufBuilder unreadable;
  unreadable.tensor("t", {4}, f32, 0);
  expect_error(unreadable.build(), corrupt, "which has only 0");
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string bytes = valid().build();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto file = parse(bytes.substr(0, size));
    ASSERT_FALSE(file) << size;
    ASSERT_EQ(file.error().code, ErrorCode::corrupt) << file.error().message;
  }
}

// Reads all that a parsed file offers, so that a sanitizer sees every view.
std::size_t touch(const GgufFile& file) {
  std::size_t sum = 0;
  for (const auto& entry : file.metadata()) {
    sum += entry.summary.size();
    if (const auto strings = file.get_strings(entry.key)) sum += strings->size();
    if (const auto ints = file.get_ints(entry.key)) sum += ints->size();
    if (const auto floats = file.get_floats(entry.key)) sum += floats->size();
  }
  for (const GgufTensor& tensor : file.tensors()) {
    sum += static_cast<std::size_t>(tensor.data.front()) +
           static_cast<std::size_t>(tensor.data.back());
  }
  return sum;
}

TEST(Gguf, SurvivesFlippedBytes) {
  const std::string original = valid().build();
  std::mt19937 random(42);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = original;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random() % 4 ? random() : 0xFF);
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    // A copy of the exact size, so that one byte too far is seen.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const auto file = parse_gguf(std::as_bytes(std::span(exact)), "model.gguf");
    if (!file) {
      ASSERT_FALSE(file.error().message.empty());
      continue;
    }
    touch(**file);
    ++accepted;
  }
  EXPECT_GT(accepted, 100);  // tensor data and values may change freely
}

TEST(Gguf, SurvivesTruncatedAndFlippedGoldens) {
  const auto golden = GgufFile::open(std::string(AORTA_SOURCE_DIR) +
                                     "/tests/golden/models/gguf/tiny-llama-gqa.Q8_0.gguf");
  ASSERT_TRUE(golden);
  const auto bytes = (*golden)->bytes();
  for (std::size_t size = 0; size < bytes.size(); size += size < 25'000 ? 61 : 9973) {
    ASSERT_FALSE(parse_gguf(bytes.first(size), "model.gguf")) << size;
  }
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  std::mt19937 random(43);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t at = random() % 25'000;  // the header, metadata and tensor entries
    const std::byte before = copy[at];
    copy[at] ^= static_cast<std::byte>(1 + random() % 255);
    if (const auto file = parse_gguf(copy, "model.gguf")) touch(**file);
    copy[at] = before;
  }
}

TEST(Gguf, OpenNamesWhatIsWrongWithThePath) {
  const auto absent = GgufFile::open("/nonexistent/model.gguf");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  EXPECT_NE(absent.error().message.find("/nonexistent/model.gguf"), std::string::npos);
  const auto folder = GgufFile::open("/");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::io);
  const std::string fifo = testing::TempDir() + "gguf_fifo." + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const auto refused = GgufFile::open(fifo);  // and does not wait for a writer
  ::unlink(fifo.c_str());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("not a regular file"), std::string::npos);
}

TEST(Gguf, KnowsTensorTypes) {
  EXPECT_EQ(ggml_type_traits(8)->name, "Q8_0");
  EXPECT_EQ(ggml_type_traits(8)->block_bytes, 34u);
  EXPECT_EQ(ggml_type_traits(30)->name, "BF16");
  EXPECT_EQ(ggml_type_traits(5), nullptr);
  EXPECT_EQ(ggml_type_traits(40), nullptr);
}

}  // namespace
}  // namespace aorta::engine
