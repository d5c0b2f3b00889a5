// Making a pack: under the directory's lock, into a temporary file that gets its name when it is
// whole and on the disk.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "engine/cpu/weight_formats.hpp"
#include "engine/model/model_source.hpp"
#include "engine/model/pack.hpp"
#include "engine/model/pack_checksum.hpp"
#include "engine/model/pack_plan.hpp"
#include "engine/model/pack_source.hpp"

namespace aorta::engine {
namespace {

namespace fs = std::filesystem;

Error write_error(const std::string& path, int why, std::uint64_t bytes) {
  if (why == ENOSPC || why == EDQUOT || why == EFBIG) {
    return Error{ErrorCode::resource_exhausted,
                 "no room for the pack " + path + " of " + std::to_string((bytes >> 20) + 1) +
                     " MiB (" + std::strerror(why) + "): free space or choose another directory"};
  }
  return Error{ErrorCode::io, "the pack " + path + " cannot be written: " + std::strerror(why)};
}

// The file being written; removed unless it was given its name.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path)
      : path_(std::move(path)),
        fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ < 0) return;
    close(fd_);
    if (!named_) unlink(path_.c_str());
  }
  bool is_open() const { return fd_ >= 0; }

  // Each answers 0 or an errno.
  int write_at(std::uint64_t offset, const void* data, std::size_t size) {
    const char* bytes = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t done = pwrite(fd_, bytes, size, static_cast<off_t>(offset));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return errno;
      if (done == 0) return ENOSPC;
      bytes += done;
      offset += static_cast<std::uint64_t>(done);
      size -= static_cast<std::size_t>(done);
    }
    return 0;
  }
  int give_name(const std::string& path) {
    if (fdatasync(fd_) != 0) return errno;
    if (rename(path_.c_str(), path.c_str()) != 0) return errno;
    named_ = true;
    return 0;
  }

 private:
  const std::string path_;
  const int fd_;
  bool named_ = false;
};

// Data in ascending order, gathered into large writes, checksummed on the way.
class DataWriter {
 public:
  DataWriter(TemporaryFile& file, std::uint64_t offset, std::uint64_t end, PackProgress progress)
      : file_(file),
        offset_(offset),
        end_(end),
        progress_(std::move(progress)),
        state_(XXH3_createState()) {
    XXH3_64bits_reset(state_);
    buffer_.reserve(buffer_bytes);
  }
  ~DataWriter() { XXH3_freeState(state_); }
  DataWriter(const DataWriter&) = delete;
  DataWriter& operator=(const DataWriter&) = delete;

  std::uint64_t position() const { return offset_ + buffer_.size(); }

  int append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min(bytes.size(), buffer_bytes - buffer_.size());
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<long>(part));
      bytes = bytes.subspan(part);
      if (buffer_.size() == buffer_bytes) {
        if (const int why = flush(); why != 0) return why;
      }
    }
    return 0;
  }
  int pad_to(std::uint64_t position) {
    static constexpr std::byte zeros[pack_alignment] = {};
    return append({zeros, static_cast<std::size_t>(position - this->position())});
  }
  int flush() {
    XXH3_64bits_update(state_, buffer_.data(), buffer_.size());
    const int why = file_.write_at(offset_, buffer_.data(), buffer_.size());
    offset_ += buffer_.size();
    buffer_.clear();
    if (progress_) progress_(offset_, end_);
    return why;
  }
  std::uint64_t checksum() const { return XXH3_64bits_digest(state_); }

 private:
  static constexpr std::size_t buffer_bytes = 4 << 20;

  TemporaryFile& file_;
  std::uint64_t offset_;
  const std::uint64_t end_;
  const PackProgress progress_;
  XXH3_state_t* const state_;
  std::vector<std::byte> buffer_;
};

std::uint64_t bytes_of(const PackItem& item) {
  if (item.compute) return std::uint64_t{item.rows} * item.columns * sizeof(float);
  if (item.kind != PackKind::weight) return item.content.size();
  return cpu::packed_bytes(*cpu::find_weight_format(item.type), item.rows, item.columns);
}

std::uint64_t aligned(std::uint64_t offset) {
  return (offset + pack_alignment - 1) / pack_alignment * pack_alignment;
}

int append_weight(const PackItem& item, DataWriter& writer) {
  const cpu::WeightFormat& format = *cpu::find_weight_format(item.type);
  const std::size_t row_bytes =
      std::size_t{item.columns} / format.block_elements * format.block_bytes;
  std::vector<std::byte> group(format.group_bytes(item.columns));
  for (std::uint32_t first = 0; first < item.rows; first += cpu::lanes) {
    const std::byte* rows[cpu::lanes] = {};
    for (std::uint32_t i = 0; i < std::min(cpu::lanes, item.rows - first); ++i) {
      rows[i] = item.source_rows.data() + source_row(first + i, item.halves) * row_bytes;
    }
    std::fill(group.begin(), group.end(), std::byte{0});
    format.pack_group(rows, item.columns, group.data());
    if (const int why = writer.append(group); why != 0) return why;
  }
  return 0;
}

int append_item(const PackItem& item, DataWriter& writer) {
  if (item.kind == PackKind::weight) return append_weight(item, writer);
  if (!item.compute) return writer.append(item.content);
  const std::vector<float> floats = item.compute();
  AORTA_CHECK(floats.size() == std::size_t{item.rows} * item.columns, "a table of another size");
  return writer.append(std::as_bytes(std::span(floats)));
}

// Lays the items out; offsets follow from their order.
Result<std::vector<PackEntry>> lay_out(const std::vector<PackItem>& items,
                                       std::uint64_t& data_offset, std::uint64_t& file_bytes) {
  std::vector<PackEntry> entries(items.size());
  data_offset = aligned(sizeof(PackHeader) + entries.size() * sizeof(PackEntry));
  std::uint64_t offset = data_offset;
  for (std::size_t i = 0; i < items.size(); ++i) {
    PackEntry& entry = entries[i];
    if (items[i].name.size() >= sizeof(entry.name)) {
      return Error{ErrorCode::unsupported, "tensor name " + items[i].name + " is too long to pack"};
    }
    items[i].name.copy(entry.name, sizeof(entry.name) - 1);
    entry.kind = static_cast<std::uint32_t>(items[i].kind);
    entry.type = items[i].type;
    entry.rows = items[i].rows;
    entry.columns = items[i].columns;
    entry.offset = offset;
    entry.bytes = bytes_of(items[i]);
    offset = aligned(offset + entry.bytes);
  }
  file_bytes = offset;
  return entries;
}

Result<void> write_pack(const std::vector<PackItem>& items, const PackSource& source,
                        const std::string& path, const PackProgress& progress) {
  PackHeader header = {};
  auto entries = lay_out(items, header.data_offset, header.file_bytes);
  if (!entries) return entries.error();

  TemporaryFile file(path + ".tmp");
  if (!file.is_open()) return write_error(path, errno, header.file_bytes);
  DataWriter writer(file, header.data_offset, header.file_bytes, progress);
  for (std::size_t i = 0; i < items.size(); ++i) {
    int why = writer.pad_to((*entries)[i].offset);
    if (why == 0) {
      why = append_item(items[i], writer);
    }
    if (why != 0) return write_error(path, why, header.file_bytes);
  }
  int why = writer.pad_to(header.file_bytes);
  if (why == 0) why = writer.flush();
  if (why != 0) return write_error(path, why, header.file_bytes);

  std::memcpy(header.magic, pack_magic, sizeof(pack_magic));
  header.version = pack_version;
  header.entries = static_cast<std::uint32_t>(entries->size());
  header.data_checksum = writer.checksum();
  header.source = source;
  header.header_checksum = header_checksum(header, *entries);
  why = file.write_at(sizeof(header), entries->data(), entries->size() * sizeof(PackEntry));
  if (why == 0) why = file.write_at(0, &header, sizeof(header));
  if (why == 0) why = file.give_name(path);
  if (why != 0) return write_error(path, why, header.file_bytes);
  return {};
}

// Held by one process (or thread) at a time; the kernel releases it when its holder dies.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory)
      : fd_(::open((directory + "/pack.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0) {
      why_ = errno;
      return;
    }
    while (flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      why_ = errno;
      return;
    }
  }
  ~DirectoryLock() {
    if (fd_ >= 0) close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  int why() const { return why_; }  // 0: held

 private:
  const int fd_;
  int why_ = 0;
};

// A usable pack of exactly those files, found without reading them.
std::string find_by_stat(const std::string& directory, const PackSource& source) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    if (entry.path().extension() != ".pack") continue;
    auto pack = open_pack(entry.path().string());
    if (pack.ok() && same_files((*pack)->header().source, source)) return entry.path().string();
  }
  return {};
}

}  // namespace

Result<std::string> find_pack(const std::string& model_path, const std::string& directory) {
  auto source = stat_source(model_path);
  if (!source) return source.error();
  return find_by_stat(directory, *source);
}

Result<std::string> pack_model(const std::string& model_path, const std::string& directory,
                               const PackProgress& progress, bool again) {
  auto source = stat_source(model_path);
  if (!source) return source.error();
  if (!again) {
    if (std::string found = find_by_stat(directory, *source); !found.empty()) return found;
  }

  auto file = ModelSource::open(model_path);
  if (!file) return file.error();
  auto items = plan_pack(**file);
  if (!items) return items.error();
  digest_source((*file)->contents(), *source);
  const std::string path = directory + "/" + digest_hex(*source) + ".pack";

  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) {
    return Error{ErrorCode::io,
                 "the pack directory " + directory + " cannot be made: " + failed.message()};
  }
  const DirectoryLock lock(directory);
  if (lock.why() != 0) {
    return Error{ErrorCode::io, "the pack directory " + directory +
                                    " cannot be locked for writing: " + std::strerror(lock.why())};
  }
  auto existing = open_pack(path);
  if (existing.ok() && !again) return path;
  if (!existing.ok() && existing.error().code == ErrorCode::unsupported) return existing.error();
  if (auto written = write_pack(*items, *source, path, progress); !written) {
    return written.error();
  }
  return path;
}

}  // namespace aorta::engine
