#include "mesh/api_keys.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <set>

#include "mesh/routing_id.hpp"

namespace aorta::mesh {
namespace {

constexpr std::string_view magic = "aorta api keys ";
constexpr std::string_view prefix = "sk-aorta-";
constexpr std::size_t most_name_bytes = 100;

template <std::size_t n>
std::array<unsigned char, n> random_bytes() {
  std::array<unsigned char, n> bytes;
  // Up to 256 bytes are never cut short once the kernel's pool is ready.
  AORTA_CHECK(::getrandom(bytes.data(), n, 0) == n, "the kernel gave no random bytes");
  return bytes;
}

// Base64 for URLs and headers, without padding.
template <std::size_t n>
std::string base64(const std::array<unsigned char, n>& bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) text += digits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += digits[bits << (6 - count) & 63];
  return text;
}

template <std::size_t n>
std::string hex(const std::array<unsigned char, n>& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_name(std::string_view name) {
  return name.size() <= most_name_bytes &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c >= ' ' && c != 127; });
}

// What stands before the next space, taken off the front of `line`.
std::string_view take_word(std::string_view& line) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

Result<ApiKey> parse_line(std::string_view line) {
  ApiKey key;
  key.id = take_word(line);
  key.digest = take_word(line);
  key.tenant = take_word(line);
  const std::string_view created = take_word(line);
  const auto [end, error] =
      std::from_chars(created.data(), created.data() + created.size(), key.created);
  key.name = line;
  const bool good = is_hex(key.id, 8) && is_hex(key.digest, 64) && is_service_name(key.tenant) &&
                    error == std::errc{} && end == created.data() + created.size() &&
                    is_name(key.name);
  if (good) return key;
  return Error{ErrorCode::corrupt,
               "this is no key: an id, a SHA-256, a tenant, seconds and a name are expected"};
}

Result<void> check_magic(std::string_view line, const std::string& path) {
  if (line == fmt::format("{}1", magic)) return {};
  if (line.starts_with(magic)) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} was written by a later version of aorta ('{:.40}')", path, line)};
  }
  return Error{ErrorCode::corrupt,
               fmt::format("{} is no file of API keys: `aorta keys add` makes one", path)};
}

}  // namespace

std::string draw_api_key() { return std::string(prefix) + base64(random_bytes<32>()); }

std::string digest_of_key(std::string_view key) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  ::SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return hex(digest);
}

Result<ApiKey> make_entry(std::string_view key, std::string tenant, std::string name) {
  if (!is_service_name(tenant)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no name for a tenant: 1 to 64 of A-Z a-z 0-9 . _ -", tenant)};
  }
  if (!is_name(name)) {
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("a key's name may have {} bytes, all of them printable", most_name_bytes)};
  }
  return ApiKey{hex(random_bytes<4>()), digest_of_key(key), std::move(tenant), std::time(nullptr),
                std::move(name)};
}

std::string format_api_keys(const std::vector<ApiKey>& keys) {
  std::string text = fmt::format("{}1\n", magic);
  for (const ApiKey& key : keys) {
    text += fmt::format("{} {} {} {} {}\n", key.id, key.digest, key.tenant, key.created, key.name);
  }
  return text;
}

Result<std::vector<ApiKey>> parse_api_keys(const std::string& text, const std::string& path) {
  std::vector<ApiKey> keys;
  std::set<std::string> ids;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size() || number == 0;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    if (++number == 1) {
      if (auto checked = check_magic(line, path); !checked) return checked.error();
      continue;
    }
    auto key = parse_line(line);
    if (key && !ids.insert(key->id).second) {
      key = Error{ErrorCode::corrupt, "the id '" + key->id + "' is there twice"};
    }
    if (!key) {
      return Error{ErrorCode::corrupt, fmt::format("{}:{}: {}", path, number, key.error().message)};
    }
    keys.push_back(std::move(*key));
  }
  return keys;
}

ApiKeys::ApiKeys(const std::vector<ApiKey>& keys) : required_(true) {
  for (const ApiKey& key : keys) tenants_[key.digest] = key.tenant;
}

std::string ApiKeys::tenant_of(std::string_view key) const {
  const auto tenant = tenants_.find(digest_of_key(key));
  return tenant == tenants_.end() ? std::string() : tenant->second;
}

}  // namespace aorta::mesh
