#include "mesh/codec.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "tests/mesh/random_message.hpp"

namespace aorta::mesh {
namespace {

using namespace std::string_literals;

template <class M>
Result<Message> decode_as(const std::string& body) {
  return decode(M::number, body);
}

TEST(Codec, EveryMessageComesBackAsItWas) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomMessages random(seed);
    for (std::size_t type = 0; type < RandomMessages::count; ++type) {
      const Message message = random.of(type);
      const std::string body = encode_body(message);
      auto decoded = decode(encode_type(message), body);
      ASSERT_TRUE(decoded.ok()) << "seed " << seed << ": " << decoded.error().message;
      ASSERT_EQ(decoded->index(), type);
      ASSERT_EQ(encode_body(*decoded), body) << "seed " << seed << ", message " << type;
    }
  }
}

TEST(Codec, FieldsKeepTheirValues) {
  const RequestKey key{{0x0123456789abcdef, 0xfedcba9876543210}, Epoch{3}};
  Start start{.key = key, .prompt = {1, -1, 49151}, .max_tokens = 9};
  start.sampling.temperature = 0.25f;
  start.sampling.logit_bias = {{7, -100.f}};
  start.sampling.seed = ~0ull;
  auto decoded = decode(Start::number, encode_body(start));
  ASSERT_TRUE(decoded.ok());
  const auto& back = std::get<Start>(*decoded);
  EXPECT_EQ(back.key, key);
  EXPECT_EQ(back.prompt, start.prompt);
  EXPECT_EQ(back.sampling.temperature, 0.25f);
  EXPECT_EQ(back.sampling.logit_bias, start.sampling.logit_bias);
  EXPECT_EQ(back.sampling.seed, ~0ull);
}

TEST(Codec, TheBytesOfAMessageAreFixed) {
  const Stop stop{{{0x0102030405060708, 0x090a0b0c0d0e0f10}, Epoch{2}}};
  EXPECT_EQ(encode_type(stop), "\x00\x22"s);
  EXPECT_EQ(
      encode_body(stop),
      "\x91\x92\xc4\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x02"s);
}

TEST(Codec, ShorterArraysKeepDefaultsAndLongerOnesAreSkipped) {
  auto empty = decode_as<Hello>("\x90"s);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(std::get<Hello>(*empty).protocol, protocol_version);
  auto longer = decode_as<Superseded>("\x93\x92\xa1x\x05\x92\xc3\xc0\xa3new"s);
  ASSERT_TRUE(longer.ok()) << longer.error().message;
  EXPECT_EQ(std::get<Superseded>(*longer).by, (PeerId{"x", Incarnation{5}}));
  auto inner = decode_as<Superseded>("\x91\x91\xa1x"s);
  ASSERT_TRUE(inner.ok());
  EXPECT_EQ(std::get<Superseded>(*inner).by, (PeerId{"x", Incarnation{0}}));
}

TEST(Codec, WrongFieldsAreNamed) {
  struct Case {
    std::uint16_t number;
    std::string body, says;
  };
  const Case cases[] = {
      {9999, "\x90"s, "message 9999 is not known"},
      {Hello::number, ""s, "cut off"},
      {Hello::number, "\xc1"s, "not msgpack"},
      {Hello::number, "\x80"s, "the body is not an array"},
      {Hello::number, "\x90\x90"s, "bytes follow"},
      {Hello::number, "\x92\x01\x07"s, "field 1 is not a known enumerator"},
      {Hello::number, "\x91\xff"s, "field 0 is not an integer of 0 to 4294967295"},
      {Hello::number, "\x91\xcf\0\0\0\1\0\0\0\0"s, "field 0 is not an integer"},
      {Hello::number, "\x93\x01\x00\x91\x05"s, "field 2.0 is not a string"},
      {Stop::number, "\x91\x91\xc4\x02xy"s, "field 0.0 is not 16 bytes"},
      {Membership::number, "\x92\x01\x92\x90\xc2"s, "field 1.1 is not an array"},
      {Membership::number, "\x92\x01\xdd\xff\xff\xff\xff"s, "cut off"},
      {Ack::number, "\x91\xdd\x00\x10\x00\x00"s, "cut off"},
      {Ack::number, std::string(100'000, '\x91'), "too deep"},
      {Start::number, "\x97\x91\xc0"s, "cut off"},
      {Tokens::number, "\x91\x91\x95\x90\x00\x90\x00\x91\x92\xa1x"s, "cut off"},
      {Tokens::number, "\x91\x91\x95\x90\x00\x90\x00\x91\x91\xa1x"s,
       "field 0.0.4.0.0 is not a number"},
      {Tokens::number, "\x91\x91\x95\x90\x00\x90\x00\x91\x92\x00\x91\x93\x01\x00\x00"s,
       "field 0.0.4.0.1.0 is not an array of two"},
  };
  for (const Case& c : cases) {
    auto decoded = decode(c.number, c.body);
    ASSERT_FALSE(decoded.ok()) << c.says;
    EXPECT_NE(decoded.error().message.find(c.says), std::string::npos) << decoded.error().message;
  }
  EXPECT_EQ(decode(9999, "\x90"s).error().code, ErrorCode::unsupported);
  EXPECT_EQ(decode(Hello::number, ""s).error().code, ErrorCode::corrupt);
  EXPECT_FALSE(decode("\x01"s, "\x90"s).ok());
  EXPECT_FALSE(decode("\x00\x00\x01"s, "\x90"s).ok());
}

// The deepest of all messages, at the depth that readers allow.
TEST(Codec, TokensKeepTheirLogprobs) {
  Tokens tokens{.runs = {{.ids = {5}}}};
  tokens.runs[0].logprobs = {{-0.125f, {{5, -0.125f}, {-6, -std::numeric_limits<float>::max()}}}};
  const auto decoded = decode(Tokens::number, encode_body(tokens));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(std::get<Tokens>(*decoded).runs[0].logprobs, tokens.runs[0].logprobs);
}

// As floats, whole ones too: the largest integer is less than 2^64.
TEST(Codec, FloatsTravelAsTheyAre) {
  for (const double value : {0.0, -0.0, 3.0, 0.1, 0x1p64, -0x1p63, 1e308}) {
    const Report report{.figures = {{"f", "", value}}};
    const std::string body = encode_body(report);
    EXPECT_NE(body.find('\xcb'), std::string::npos) << value;
    const auto decoded = decode(Report::number, body);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(std::get<Report>(*decoded).figures[0].value),
              std::bit_cast<std::uint64_t>(value));
  }
}

TEST(Codec, AHostileCountOfStructsIsRefused) {
  // 100,000 empty messages within one of 100 kB would become 100,000 full structs.
  std::string body = "\x92\x01\xdd\x00\x01\x86\xa0"s + std::string(100'000, '\x90');
  auto decoded = decode_as<Membership>(body);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().message.find("at most 65536"), std::string::npos);
}

// Any bytes: a message or an error, and a message that was taken can be written again.
TEST(Codec, GarbageAndMutatedMessagesNeverCrash) {
  std::uint64_t taken = 0;
  for (std::uint64_t seed = 1000; seed < 1400; ++seed) {
    SCOPED_TRACE(seed);
    RandomMessages random(seed);
    for (std::size_t type = 0; type < RandomMessages::count; ++type) {
      const Message message = random.of(type);
      std::string body = encode_body(message);
      if (random.number(4) == 0) {
        body.resize(random.number(200));
        for (char& c : body) c = static_cast<char>(random.number(256));
      }
      for (std::uint64_t edits = random.number(6); edits-- > 0 && !body.empty();) {
        const std::size_t at = random.number(body.size());
        switch (random.number(3)) {
          case 0:
            body[at] = static_cast<char>(random.number(256));
            break;
          case 1:
            body.erase(at, 1 + random.number(4));
            break;
          default:
            body.insert(at, 1, static_cast<char>(random.number(256)));
        }
      }
      auto decoded = decode(number_of(message), body);
      if (!decoded.ok()) {
        EXPECT_FALSE(decoded.error().message.empty());
        continue;
      }
      ++taken;
      EXPECT_TRUE(decode(number_of(*decoded), encode_body(*decoded)).ok());
    }
  }
  EXPECT_GT(taken, 1000u) << "mutations that leave a message readable belong to the test";
}

}  // namespace
}  // namespace aorta::mesh
