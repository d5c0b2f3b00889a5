#include "engine/model/pack_source.hpp"

#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/ids.hpp"

namespace aorta::engine {

Result<PackSource> stat_source(const std::string& gguf_path) {
  struct stat info;
  if (stat(gguf_path.c_str(), &info) != 0) {
    const int why = errno;
    return Error{why == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 "model file " + gguf_path + ": " + std::strerror(why)};
  }
  std::error_code failed;
  const auto canonical = std::filesystem::canonical(gguf_path, failed);
  PackSource source = {};
  source.size_bytes = static_cast<std::uint64_t>(info.st_size);
  source.modified_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  source.path_hash = stable_hash(failed ? gguf_path : canonical.string());
  return source;
}

bool same_file(const PackSource& a, const PackSource& b) {
  return a.size_bytes == b.size_bytes && a.modified_ns == b.modified_ns &&
         a.path_hash == b.path_hash;
}

void digest_source(std::span<const std::byte> content, PackSource& source) {
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  source.digest[0] = hash.low64;
  source.digest[1] = hash.high64;
}

std::string digest_hex(const PackSource& source) {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx",
                static_cast<unsigned long long>(source.digest[1]),
                static_cast<unsigned long long>(source.digest[0]));
  return text;
}

}  // namespace aorta::engine
