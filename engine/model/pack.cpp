#include "engine/model/pack.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "engine/cpu/weight_formats.hpp"
#include "engine/model/model_source.hpp"
#include "engine/model/pack_checksum.hpp"
#include "engine/model/pack_source.hpp"

namespace aorta::engine {
namespace {

constexpr char rebuild[] = "; delete it and it is made again";

// A file mapped whole, shared and read-only.
class Mapping {
 public:
  static Result<Mapping> open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const int why = errno;
      return Error{why == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                   "pack " + path + ": " + std::strerror(why)};
    }
    struct stat info;
    void* data = MAP_FAILED;
    std::size_t size = 0;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
      size = static_cast<std::size_t>(info.st_size);
      if (size < sizeof(PackHeader)) {
        close(fd);
        return Error{ErrorCode::corrupt, "pack " + path + " is shorter than its header" + rebuild};
      }
      data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (data == MAP_FAILED) return Error{ErrorCode::io, "pack " + path + " cannot be mapped"};
    return Mapping(static_cast<const std::byte*>(data), size);
  }
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
  }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  Mapping(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_;
  std::size_t size_;
};

class MappedPack final : public Pack {
 public:
  MappedPack(std::string path, Mapping mapping)
      : path_(std::move(path)), mapping_(std::move(mapping)) {}

  const std::string& path() const override { return path_; }
  const PackHeader& header() const override {
    return *reinterpret_cast<const PackHeader*>(mapping_.data());
  }
  std::string digest() const override { return digest_hex(header().source); }
  std::span<const PackEntry> entries() const override {
    return {reinterpret_cast<const PackEntry*>(mapping_.data() + sizeof(PackHeader)),
            header().entries};
  }

  Result<Weight> weight(std::string_view name, std::uint32_t rows,
                        std::uint32_t columns) const override {
    auto entry = find(name, PackKind::weight, rows, columns);
    if (!entry) return entry.error();
    return Weight{static_cast<WeightType>((*entry)->type), rows, columns, data_of(**entry)};
  }
  Result<const float*> floats(std::string_view name, std::uint32_t rows,
                              std::uint32_t columns) const override {
    auto entry = find(name, PackKind::floats, rows, columns);
    if (!entry) return entry.error();
    return reinterpret_cast<const float*>(data_of(**entry));
  }
  Result<std::span<const std::byte>> bytes(std::string_view name) const override {
    auto entry = find(name, PackKind::bytes, 0, 0);
    if (!entry) return entry.error();
    return std::span<const std::byte>(data_of(**entry), (*entry)->bytes);
  }

  Result<void> check() const {
    const PackHeader& head = header();
    if (std::memcmp(head.magic, pack_magic, sizeof(pack_magic)) != 0) {
      return refuse(ErrorCode::corrupt, "is not a pack: it does not begin with AORTAPK1");
    }
    const std::string versions = "is of version " + std::to_string(head.version) +
                                 ", this aorta reads " + std::to_string(pack_version);
    if (head.version > pack_version) {
      return refuse(ErrorCode::unsupported, versions + ": use a newer aorta or another directory");
    }
    if (head.version < pack_version) return refuse(ErrorCode::corrupt, versions + rebuild);
    const std::uint64_t table_end =
        sizeof(PackHeader) + std::uint64_t{head.entries} * sizeof(PackEntry);
    if (head.file_bytes != mapping_.size() || table_end > mapping_.size() ||
        head.data_offset < table_end || head.data_offset > mapping_.size()) {
      return refuse(ErrorCode::corrupt, "is " + std::to_string(mapping_.size()) +
                                            " bytes, its header says " +
                                            std::to_string(head.file_bytes) + rebuild);
    }
    if (head.header_checksum != header_checksum(head, entries())) {
      return refuse(ErrorCode::corrupt, std::string("has a damaged header") + rebuild);
    }
    for (const PackEntry& entry : entries()) {
      if (!fits(entry)) {
        return refuse(ErrorCode::corrupt,
                      "has an entry that does not lie in it, " +
                          std::string(entry.name, strnlen(entry.name, sizeof(entry.name))) +
                          rebuild);
      }
    }
    return {};
  }

 private:
  Error refuse(ErrorCode code, const std::string& sentence) const {
    return Error{code, "pack " + path_ + " " + sentence};
  }

  const std::byte* data_of(const PackEntry& entry) const { return mapping_.data() + entry.offset; }

  bool fits(const PackEntry& entry) const {
    if (entry.name[sizeof(entry.name) - 1] != 0 || entry.offset % pack_alignment != 0 ||
        entry.offset < header().data_offset || entry.offset > mapping_.size() ||
        entry.bytes > mapping_.size() - entry.offset) {
      return false;
    }
    switch (static_cast<PackKind>(entry.kind)) {
      case PackKind::bytes:
        return true;
      case PackKind::floats:
        return entry.bytes == std::uint64_t{entry.rows} * entry.columns * sizeof(float);
      case PackKind::weight: {
        const cpu::WeightFormat* format = cpu::find_weight_format(entry.type);
        return format != nullptr && entry.columns % format->block_elements == 0 &&
               entry.bytes == cpu::packed_bytes(*format, entry.rows, entry.columns);
      }
    }
    return false;
  }

  Result<const PackEntry*> find(std::string_view name, PackKind kind, std::uint32_t rows,
                                std::uint32_t columns) const {
    for (const PackEntry& entry : entries()) {
      if (name != entry.name) continue;
      if (entry.kind != static_cast<std::uint32_t>(kind) || entry.rows != rows ||
          entry.columns != columns) {
        return refuse(ErrorCode::corrupt,
                      "has " + std::string(name) + " of " + std::to_string(entry.rows) + " × " +
                          std::to_string(entry.columns) + ", not " + std::to_string(rows) + " × " +
                          std::to_string(columns) + rebuild);
      }
      return &entry;
    }
    return refuse(ErrorCode::corrupt, "lacks " + std::string(name) + rebuild);
  }

  const std::string path_;
  const Mapping mapping_;
};

}  // namespace

std::uint64_t header_checksum(PackHeader header, std::span<const PackEntry> entries) {
  header.header_checksum = 0;
  const std::uint64_t seed = XXH3_64bits(&header, sizeof(header));
  return XXH3_64bits_withSeed(entries.data(), entries.size_bytes(), seed);
}

Result<std::shared_ptr<const Pack>> open_pack(const std::string& path) {
  auto mapping = Mapping::open(path);
  if (!mapping) return mapping.error();
  auto pack = std::make_shared<const MappedPack>(path, std::move(*mapping));
  if (auto checked = pack->check(); !checked) return checked.error();
  return std::shared_ptr<const Pack>(std::move(pack));
}

Result<void> verify_pack(const Pack& pack) {
  const PackHeader& header = pack.header();
  const auto* base = reinterpret_cast<const std::byte*>(&header);
  const std::uint64_t checksum =
      XXH3_64bits(base + header.data_offset, header.file_bytes - header.data_offset);
  if (checksum == header.data_checksum) return {};
  return Error{ErrorCode::corrupt,
               "pack " + pack.path() + " has damaged data (checksum)" + rebuild};
}

Result<void> check_source(const Pack& pack, const std::string& model_path) {
  auto source = stat_source(model_path);
  if (!source) return source.error();
  const PackSource& made_from = pack.header().source;
  if (same_files(*source, made_from)) return {};
  if (source->size_bytes == made_from.size_bytes) {
    auto file = ModelSource::open(model_path);
    if (!file) return file.error();
    digest_source((*file)->contents(), *source);
    if (digest_hex(*source) == pack.digest()) return {};
  }
  return Error{ErrorCode::conflict, "pack " + pack.path() + " was made from other content than " +
                                        model_path + " as it is now: pack it again"};
}

}  // namespace aorta::engine
