// Making, taking over, opening and removing the file of a SharedBlockStore.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "engine/kv/block_store.hpp"
#include "engine/kv/block_store_format.hpp"

namespace aorta::engine {
namespace {

using store_format::Header;
using store_format::Slot;

Error failed(ErrorCode code, const std::string& path, const std::string& what) {
  return {code, fmt::format("the KV store {} {}", path, what)};
}

Error failed_call(const std::string& path, const char* call) {
  const ErrorCode code = errno == ENOENT                      ? ErrorCode::not_found
                         : errno == ENOSPC || errno == ENOMEM ? ErrorCode::resource_exhausted
                                                              : ErrorCode::io;
  return failed(code, path, fmt::format("cannot be used: {}: {}", call, std::strerror(errno)));
}

Result<void> check_owner(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return failed(ErrorCode::conflict, path, "is not a file");
  if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return failed(ErrorCode::conflict, path,
                  "is not ours alone: it should belong to this user with mode 0600");
  }
  return {};
}

Result<void> check_header(const std::string& path, const Header& header, std::uint64_t file_bytes) {
  if (std::memcmp(header.magic, store_format::magic, sizeof(header.magic)) != 0 ||
      header.byte_order != store_format::byte_order) {
    return failed(ErrorCode::corrupt, path, "is no KV store: name another file");
  }
  if (header.version != store_format::version) {
    return failed(
        ErrorCode::unsupported, path,
        fmt::format("has version {}, and this build knows {}: stop its owner and remove it",
                    header.version, store_format::version));
  }
  const std::uint64_t most = file_bytes / store_format::page;
  const bool sound =
      header.slots > 0 && header.slots % store_format::ways == 0 && header.slots <= most &&
      header.block_bytes > 0 && header.stride == store_format::whole_pages(header.block_bytes) &&
      header.stride <= file_bytes / header.slots &&
      store_format::blocks_at(header.slots) + header.slots * header.stride == header.file_bytes;
  if (!sound) return failed(ErrorCode::corrupt, path, "is damaged: remove it");
  if (header.file_bytes != file_bytes) {
    return failed(ErrorCode::corrupt, path,
                  fmt::format("was cut: it has {} bytes of {}", file_bytes, header.file_bytes));
  }
  return {};
}

}  // namespace

SharedBlockStore::Geometry SharedBlockStore::geometry_of(std::uint64_t bytes,
                                                         std::uint64_t block_bytes) {
  Geometry g;
  g.block_bytes = block_bytes;
  g.stride = store_format::whole_pages(block_bytes);
  if (bytes <= 2 * store_format::page || g.stride == 0) return g;
  g.slots = (bytes - 2 * store_format::page) / (g.stride + sizeof(Slot));
  g.slots -= g.slots % store_format::ways;
  g.file_bytes = store_format::blocks_at(g.slots) + g.slots * g.stride;
  return g;
}

// Written beside its place and put there whole: whoever opens it finds all of it or nothing.
Result<int> SharedBlockStore::make_file(const std::string& path, const Geometry& g) {
  const std::string beside = fmt::format("{}.new-{}", path, ::getpid());
  ::unlink(beside.c_str());
  const int file = ::open(beside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed_call(path, "open");
  const auto fail = [&](const char* call) {
    const Error error = failed_call(path, call);
    ::unlink(beside.c_str());
    ::close(file);
    return error;
  };
  Header header = {};
  std::memcpy(header.magic, store_format::magic, sizeof(header.magic));
  header.version = store_format::version;
  header.byte_order = store_format::byte_order;
  header.file_bytes = g.file_bytes;
  header.block_bytes = g.block_bytes;
  header.stride = g.stride;
  header.slots = g.slots;
  if (::ftruncate(file, static_cast<off_t>(g.file_bytes)) != 0) return fail("ftruncate");
  const auto ahead = static_cast<off_t>(store_format::blocks_at(g.slots));
  if (::fallocate(file, 0, 0, ahead) != 0) return fail("fallocate");
  if (::pwrite(file, &header, sizeof(header), 0) != ssize_t{sizeof(header)}) return fail("pwrite");
  if (::rename(beside.c_str(), path.c_str()) != 0) return fail("rename");
  return file;
}

Result<std::unique_ptr<SharedBlockStore>> SharedBlockStore::map(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return failed_call(path, "open");
  struct stat status = {};
  Header header = {};
  const auto fail = [&](Error error) {
    ::close(file);
    return error;
  };
  if (::fstat(file, &status) != 0) return fail(failed_call(path, "fstat"));
  if (auto ours = check_owner(path, status); !ours) return fail(ours.error());
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (::pread(file, static_cast<void*>(&header), sizeof(header), 0) != ssize_t{sizeof(header)}) {
    return fail(failed(ErrorCode::corrupt, path, "is no KV store: it is too short"));
  }
  if (auto sound = check_header(path, header, bytes); !sound) return fail(sound.error());
  void* mapping = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapping == MAP_FAILED) return fail(failed_call(path, "mmap"));
  return std::unique_ptr<SharedBlockStore>(new SharedBlockStore(path, file, mapping, bytes));
}

Result<std::unique_ptr<SharedBlockStore>> SharedBlockStore::open(const std::string& path,
                                                                 const std::string& numerics_id) {
  auto store = map(path);
  if (!store) return store;
  if ((*store)->header().closed.load() != 0) {
    return failed(ErrorCode::not_found, path, "was closed by its owner");
  }
  (*store)->numerics_ = XXH3_64bits(numerics_id.data(), numerics_id.size());
  return store;
}

Result<std::unique_ptr<SharedBlockStore>> SharedBlockStore::create(const std::string& path,
                                                                   std::uint64_t bytes,
                                                                   std::uint64_t block_bytes) {
  const Geometry g = geometry_of(bytes, block_bytes);
  if (g.slots == 0) {
    return failed(ErrorCode::invalid_argument, path,
                  fmt::format("cannot be kept in {} bytes: {} blocks of {} bytes are the least",
                              bytes, store_format::ways, block_bytes));
  }
  auto there = map(path);
  if (there) {
    const Header& h = (*there)->header();
    if (h.file_bytes == g.file_bytes && h.block_bytes == g.block_bytes) {
      (*there)->header().closed.store(0);
      (*there)->reclaim();
      return there;
    }
    (*there)->header().closed.store(1);  // engines that have it open leave it
  } else if (there.error().code == ErrorCode::conflict) {
    return there.error();
  } else if (there.error().code != ErrorCode::not_found) {
    // Of another version, or damaged: ours to replace if it begins as a store does.
    char magic[sizeof(store_format::magic)] = {};
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool ours = file >= 0 && ::pread(file, magic, sizeof(magic), 0) == sizeof(magic) &&
                      std::memcmp(magic, store_format::magic, sizeof(magic)) == 0;
    if (file >= 0) ::close(file);
    if (!ours) {
      return failed(ErrorCode::conflict, path, "is something else: move it or name another file");
    }
  }
  auto file = make_file(path, g);
  if (!file) return file.error();
  ::close(*file);
  return map(path);
}

void SharedBlockStore::remove() {
  header().closed.store(1);
  struct stat mine = {}, there = {};
  const bool same = ::fstat(file_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
  if (same) ::unlink(path_.c_str());  // not one that a successor has put there
}

}  // namespace aorta::engine
