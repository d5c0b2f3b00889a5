// The file of API keys: what is written is read, and everything else is refused by its line.
#include "mesh/api_keys.hpp"

#include <gtest/gtest.h>

namespace aorta::mesh {
namespace {

std::string error_of(const std::string& text) {
  const auto parsed = parse_api_keys(text, "keys");
  return parsed ? "" : parsed.error().message;
}

TEST(ApiKeys, AFileIsReadAsItWasWritten) {
  const auto one = make_entry("sk-1", "acme", "Ann's laptop, 2nd"),
             two = make_entry("sk-2", "b", "");
  const auto parsed = parse_api_keys(format_api_keys({*one, *two}), "keys");
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ(parsed->at(0).id, one->id);
  EXPECT_EQ(parsed->at(0).digest, digest_of_key("sk-1"));
  EXPECT_EQ(parsed->at(0).tenant, "acme");
  EXPECT_EQ(parsed->at(0).created, one->created);
  EXPECT_EQ(parsed->at(0).name, "Ann's laptop, 2nd");
  EXPECT_EQ(parsed->at(1).name, "");
}

TEST(ApiKeys, TheFileHoldsNoKey) {
  const std::string key = draw_api_key();
  EXPECT_EQ(key.size(), std::string("sk-aorta-").size() + 43);  // 256 bits in base64
  EXPECT_NE(key, draw_api_key());
  EXPECT_EQ(format_api_keys({*make_entry(key, "t", "n")}).find(key.substr(9)), std::string::npos);
  EXPECT_EQ(digest_of_key("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ApiKeys, AKeyIsItsTenants) {
  const ApiKeys keys({*make_entry("sk-1", "acme", ""), *make_entry("sk-2", "b", "")});
  EXPECT_TRUE(keys.required());
  EXPECT_EQ(keys.tenant_of("sk-1"), "acme");
  EXPECT_EQ(keys.tenant_of("sk-2"), "b");
  EXPECT_EQ(keys.tenant_of("sk-"), "");
  EXPECT_EQ(keys.tenant_of(""), "");
  EXPECT_FALSE(ApiKeys().required());
  EXPECT_TRUE(ApiKeys(std::vector<ApiKey>{}).required()) << "the last one was revoked: nobody is let in";
}

TEST(ApiKeys, WhatIsNoFileOfKeysIsSaid) {
  const std::string good = format_api_keys({*make_entry("sk-1", "acme", "")});
  EXPECT_NE(error_of("").find("no file of API keys"), std::string::npos);
  EXPECT_NE(error_of("hello\n").find("`aorta keys add` makes one"), std::string::npos);
  EXPECT_NE(error_of("aorta api keys 2\n").find("later version"), std::string::npos);
  EXPECT_EQ(error_of(good + "zzz\n"),
            "keys:3: this is no key: an id, a SHA-256, a tenant, seconds and a name are expected");
  const std::string line = good.substr(good.find('\n') + 1);
  EXPECT_NE(error_of(good + line).find("is there twice"), std::string::npos);
  EXPECT_FALSE(error_of(good.substr(0, good.size() - 40)).empty()) << "cut off";
}

TEST(ApiKeys, NamesThatWouldBreakTheFileAreRefused) {
  EXPECT_FALSE(make_entry("k", "two words", "").ok());
  EXPECT_FALSE(make_entry("k", "", "").ok());
  EXPECT_FALSE(make_entry("k", "t", "two\nlines").ok());
  EXPECT_FALSE(make_entry("k", "t", std::string(101, 'x')).ok());
}

}  // namespace
}  // namespace aorta::mesh
