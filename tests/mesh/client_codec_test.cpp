#include "mesh/client_codec.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace aorta::mesh {
namespace {

using nlohmann::json;
using namespace std::string_literals;

std::string error_of(const Result<json>& result) {
  return result.ok() ? "(no error)" : result.error().message;
}

TEST(ClientCodec, MapsAndJsonTextComeOutAsTheSameValues) {
  const std::string text =
      R"({"model":"m","messages":[{"role":"user","content":"schön ☕"}],"stream":true,
          "temperature":0.5,"seed":18446744073709551615,"logit_bias":{"7":-100},"stop":null})";
  auto parsed = parse_client_json(text);
  ASSERT_TRUE(parsed.ok()) << error_of(parsed);
  auto decoded = decode_client(encode_client(*parsed));
  ASSERT_TRUE(decoded.ok()) << error_of(decoded);
  EXPECT_EQ(*decoded, *parsed);
  EXPECT_EQ((*decoded)["seed"].get<std::uint64_t>(), ~0ull);
}

TEST(ClientCodec, SaysWhatIsWrongWithAMap) {
  struct Case {
    std::string body, says;
  };
  const std::string deep = "\x81\xa1x"s;
  std::string nested;
  for (int i = 0; i < 33; ++i) nested += deep;
  const Case cases[] = {
      {""s, "empty"},
      {"\x01"s, "must be a msgpack map"},
      {"\x91\x01"s, "must be a msgpack map"},
      {"\x81\x01\x02"s, "keys of maps must be strings"},
      {"\x81\xa1x"s, "cut off"},
      {"\x81\xa1x\xc4\x01y"s, "binary values are not allowed"},
      {"\x81\xa1x\xd4\x01y"s, "extension values"},
      {"\x81\xa1x\xa1\xff"s, "UTF-8"},
      {"\x81\xa1\xff\x01"s, "UTF-8"},
      {"\x81\xa1x\xcb\x7f\xf8\0\0\0\0\0\0"s, "finite"},
      {"\x81\xa1x\xc1"s, "not msgpack"},
      {"\x80\x80"s, "bytes follow"},
      {nested + "\x01", "more than 32 deep"},
      {"\x81\xa1x\xdd\xff\xff\xff\xff"s, "cut off"},
      {"\x81\xa1x\xdd\x00\x10\x00\x00"s + std::string(1 << 20, '\x01'), "more than 524288 values"},
      {"\xdf\xff\xff\xff\xff"s, "cut off"},
      {"\x81\x81\xa1x\x01\x01"s, "keys of maps must be strings"},
  };
  for (const Case& c : cases) {
    const std::string error = error_of(decode_client(c.body));
    EXPECT_NE(error.find(c.says), std::string::npos) << c.says << " / " << error;
  }
}

TEST(ClientCodec, SaysWhatIsWrongWithText) {
  EXPECT_NE(error_of(parse_client_json("{\"a\":")).find("not JSON"), std::string::npos);
  EXPECT_NE(error_of(parse_client_json("{\"a\":\"\xff\"}")).find("not JSON"), std::string::npos);
  EXPECT_NE(error_of(parse_client_json("[]")).find("JSON object"), std::string::npos);
  EXPECT_NE(error_of(parse_client_json("{\"a\":1e999}")).find("too large"), std::string::npos);
  EXPECT_NE(error_of(parse_client_json(std::string(100'000, '['))).find("32 deep"),
            std::string::npos);
  EXPECT_NE(
      error_of(parse_client_json("{\"a\":[" + std::string(600'000, ',') + "]}")).find("values"),
      std::string::npos);
  auto quoted = parse_client_json(R"({"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[,"})");
  EXPECT_TRUE(quoted.ok()) << error_of(quoted);
}

TEST(ClientCodec, Utf8IsThatOfRfc3629) {
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(ClientCodec, GarbageNeverCrashesAndWhatIsTakenCanBePrinted) {
  const std::string valid = encode_client(
      {{"model", "m"}, {"n", 1}, {"list", {1, 2.5, "x", nullptr}}, {"map", {{"k", true}}}});
  int taken = 0;
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    std::mt19937 random(seed);
    std::string body = valid;
    if (seed % 3 == 0) {
      body.resize(random() % 60);
      for (char& c : body) c = static_cast<char>(random());
    }
    for (std::uint32_t edits = random() % 4; edits-- > 0 && !body.empty();) {
      body[random() % body.size()] = static_cast<char>(random());
    }
    auto decoded = decode_client(body);
    if (!decoded.ok()) {
      EXPECT_TRUE(is_utf8(decoded.error().message) && !decoded.error().message.empty());
      continue;
    }
    ++taken;
    EXPECT_FALSE(decoded->dump().empty()) << "seed " << seed;
  }
  EXPECT_GT(taken, 1000);
}

}  // namespace
}  // namespace aorta::mesh
