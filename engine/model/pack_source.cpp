#include "engine/model/pack_source.hpp"

#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/ids.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

Result<PackSource> stat_source(const std::string& model_path) {
  auto paths = source_files(model_path);
  if (!paths) return paths.error();
  PackSource source = {};
  XXH3_state_t* const state = XXH3_createState();
  XXH3_64bits_reset(state);
  for (const std::string& path : *paths) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) {
      const int why = errno;
      XXH3_freeState(state);
      return Error{why == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                   "model file " + path + ": " + std::strerror(why)};
    }
    std::error_code failed;
    const auto canonical = std::filesystem::canonical(path, failed);
    const std::uint64_t facts[] = {static_cast<std::uint64_t>(info.st_size),
                                   static_cast<std::uint64_t>(info.st_mtim.tv_sec),
                                   static_cast<std::uint64_t>(info.st_mtim.tv_nsec),
                                   stable_hash(failed ? path : canonical.string())};
    XXH3_64bits_update(state, facts, sizeof(facts));
    source.size_bytes += facts[0];
  }
  source.files = paths->size();
  source.stamp = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return source;
}

bool same_files(const PackSource& a, const PackSource& b) {
  return a.size_bytes == b.size_bytes && a.files == b.files && a.stamp == b.stamp;
}

void digest_source(const std::vector<std::span<const std::byte>>& contents, PackSource& source) {
  std::vector<XXH128_hash_t> digests;
  for (const auto content : contents) {
    digests.push_back(XXH3_128bits(content.data(), content.size()));
  }
  const XXH128_hash_t hash =
      digests.size() == 1 ? digests[0]
                          : XXH3_128bits(digests.data(), digests.size() * sizeof(digests[0]));
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
