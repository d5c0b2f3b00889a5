// One safetensors file: whatever is in it, it is refused with a sentence or lies whole in the file.
#include "engine/model/safetensors/safetensors.hpp"

#include <gtest/gtest.h>

#include "engine/model/safetensors/json_text.hpp"
#include "tests/engine/model/safetensors_builder.hpp"

namespace aorta::engine {
namespace {

Result<std::vector<SafetensorsTensor>> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "m.safetensors");
}

void expect_refused(const std::string& file, const std::string& words,
                    ErrorCode code = ErrorCode::corrupt) {
  const auto parsed = parse(file);
  ASSERT_FALSE(parsed.ok()) << words;
  EXPECT_EQ(parsed.error().code, code) << parsed.error().message;
  EXPECT_NE(parsed.error().message.find(words), std::string::npos) << parsed.error().message;
}

TEST(Safetensors, ReadsWhatItsAuthorsWrite) {
  const std::string file = safetensors_of(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("empty":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]}}   )",
      16);
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 3u);
  for (const SafetensorsTensor& tensor : *parsed) {
    const auto* start = reinterpret_cast<const char*>(tensor.data.data());
    EXPECT_EQ(start, file.data() + file.size() - 16 + (tensor.name == "a" ? 0 : 4)) << tensor.name;
    if (tensor.name != "b") continue;
    EXPECT_EQ(tensor.dtype, "BF16");
    EXPECT_EQ(tensor.shape, (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(tensor.data.size(), 12u);
  }
}

TEST(Safetensors, NamesWhatIsWrongWithTheFile) {
  expect_refused("", "shorter than a safetensors header");
  expect_refused("1234567", "shorter than a safetensors header");
  expect_refused(std::string(7, '\xFF') + "\x7F{}",
                 "claims 9223372036854775807 bytes, 2 are there");
  expect_refused(safetensors_of("[]", 0), "not an object");
  expect_refused(safetensors_of("{\"a\":", 0), "not well-formed JSON");
  expect_refused(safetensors_of("{\"a\":1,\"a\":2}", 0), "\"a\" appears twice");
  expect_refused(safetensors_of(std::string(100'000, '['), 0), "nests more than 16 levels deep");
  expect_refused(safetensors_of(std::string((32 << 20) + 1, ' '), 0), "more than the 33554432",
                 ErrorCode::resource_exhausted);
  expect_refused(safetensors_of("{}", 5), "5 bytes at its end belong to no tensor");
}

// As many tensors as the largest models have are read in a moment; twice as many take twice as
// long.
TEST(Safetensors, ReadsManyTensors) {
  constexpr std::uint64_t count = 100'000;
  std::string header = "{";
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string at = std::to_string(i), next = std::to_string(i + 1);
    header += (i == 0 ? "\"t" : ",\"t") + at + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
              at + "," + next + "]}";
  }
  const auto parsed = parse(safetensors_of(header + "}", count));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->size(), count);
}

TEST(Safetensors, NamesWhatIsWrongWithATensor) {
  const auto with = [](const std::string& entry) {
    return safetensors_of("{\"w\\u0007\":" + entry + "}", 8);
  };
  expect_refused(with("3"), "tensor \"w\\x07\" has no dtype");
  expect_refused(with(R"({"dtype":7})"), "has no dtype");
  expect_refused(with(R"({"dtype":"F4","shape":[2],"data_offsets":[0,8]})"), "unknown dtype \"F4\"",
                 ErrorCode::unsupported);
  for (const char* shape :
       {"-2", "[-2]", "[2.0]", "[\"2\"]", "null", "{}", "[1,1,1,1,1,1,1,1,2]"}) {
    expect_refused(
        with(std::string(R"({"dtype":"F32","data_offsets":[0,8],"shape":)") + shape + "}"),
        "has no shape");
  }
  expect_refused(with(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"),
                 "overflows");
  for (const char* offsets : {"[0]", "[0,8,8]", "[0,-8]", "[0,1e1]", "8"}) {
    expect_refused(
        with(std::string(R"({"dtype":"F32","shape":[2],"data_offsets":)") + offsets + "}"),
        "has no data_offsets");
  }
  expect_refused(with(R"({"dtype":"F32","shape":[2],"data_offsets":[8,16]})"), "which has 8 bytes");
  expect_refused(with(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "lies at 8 to 0");
  expect_refused(with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]})"),
                 "which has 8 bytes");
  expect_refused(with(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "need 12");
  const auto two = [](const std::string& a, const std::string& b) {
    return safetensors_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                              R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                          12);
  };
  expect_refused(two("[0,4]", "[3,7]"), "overlaps another");
  expect_refused(two("[0,4]", "[8,12]"), "leaves a gap");
  expect_refused(two("[4,8]", "[8,12]"), "leaves a gap");
}

}  // namespace
}  // namespace aorta::engine
