#pragma once
// KV blocks in shared memory: they outlive the engine that computed them, for others on its host.
//
// A service creates the file; engines open it. Nobody waits for anybody: all coordination is
// atomics in the mapping. A reader copies a block and then looks whether name, version and checksum
// held, so a torn write, an eviction during the copy, a writer that died midway or a service that
// is gone are all misses. Each set of slots gives up its least recently used block.
//
// Memory is claimed block by block as slots are first written, so a full /dev/shm is a block not
// saved and never a SIGBUS. The layout is engine/kv/block_store_format.hpp.
#include <memory>
#include <string>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

namespace store_format {
struct Header;
struct Slot;
}  // namespace store_format

class SharedBlockStore final : public BlockStore {
 public:
  struct Figures {
    std::uint64_t slots = 0, full = 0, writing = 0;
    std::uint64_t file_bytes = 0, claimed_bytes = 0;  // what it may take, and has taken
    // Since the file was made, by all who opened it:
    std::uint64_t saved = 0, loaded = 0, missed = 0;
    std::uint64_t evicted = 0;
    std::uint64_t refused = 0;  // not saved: no memory was left
    std::uint64_t torn = 0;     // found, but not what their checksum says
  };

  // The owner's: a file of at most `bytes` for blocks of up to `block_bytes`, mode 0600. One of the
  // same geometry that is there is taken over with what it holds, another store is replaced, any
  // other file is left alone. Errors: invalid_argument (too small), conflict (not a store, or not
  // ours), resource_exhausted, io.
  static Result<std::unique_ptr<SharedBlockStore>> create(const std::string& path,
                                                          std::uint64_t bytes,
                                                          std::uint64_t block_bytes);
  // An engine's: it sees only blocks saved under the same numerics_id. Errors: not_found, corrupt
  // (truncated, or no store), unsupported (another version), conflict (not ours), io.
  static Result<std::unique_ptr<SharedBlockStore>> open(const std::string& path,
                                                        const std::string& numerics_id);
  ~SharedBlockStore() override;
  SharedBlockStore(const SharedBlockStore&) = delete;
  SharedBlockStore& operator=(const SharedBlockStore&) = delete;

  bool may_have(const BlockName& name) const override;
  bool load(const BlockName& name, std::span<std::byte> into) override;
  std::uint32_t last_load_us() const override { return last_load_us_; }
  void save(const BlockName& name, std::span<const std::byte> block) override;
  std::uint32_t last_save_us() const override { return last_save_us_; }

  Figures figures() const;
  // Empties slots whose writer died midway; returns how many.
  std::uint32_t reclaim();
  // Removes the file. Whoever has it open finds and saves nothing from now on.
  void remove();
  std::uint64_t block_bytes() const;
  const std::string& path() const { return path_; }

 private:
  struct Geometry {
    std::uint64_t file_bytes = 0, block_bytes = 0, stride = 0, slots = 0;
  };
  SharedBlockStore(std::string path, int file, void* mapping, std::uint64_t bytes);

  static Geometry geometry_of(std::uint64_t bytes, std::uint64_t block_bytes);
  static Result<int> make_file(const std::string& path, const Geometry& geometry);
  static Result<std::unique_ptr<SharedBlockStore>> map(const std::string& path);

  store_format::Header& header() const;
  std::span<store_format::Slot> set_of(const BlockName& name) const;
  store_format::Slot* find(const BlockName& name, std::uint64_t& state) const;
  std::byte* block_of(const store_format::Slot& slot) const;
  std::uint64_t checksum(const BlockName& name, std::span<const std::byte> block) const;
  bool copy(const BlockName& name, std::span<std::byte> into);
  void keep(const BlockName& name, std::span<const std::byte> block);
  bool claim(store_format::Slot& slot);
  bool write(store_format::Slot& slot, const BlockName& name, std::span<const std::byte> block);

  const std::string path_;
  const int file_;
  std::byte* const mapping_;
  const std::uint64_t bytes_;  // of the mapping
  std::uint64_t numerics_ = 0;
  std::uint32_t last_load_us_ = 0, last_save_us_ = 0;  // of the one thread that loads and saves
};

}  // namespace aorta::engine
