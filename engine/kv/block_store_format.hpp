#pragma once
// The bytes of a store of KV blocks (engine/kv/block_store.hpp), in one file of this machine's
// endianness and word size:
//   header                       one page
//   slots                        64 bytes each
//   blocks                       from a page's start, one of `stride` bytes for each slot
// A name's set of slots is (low ^ numerics) mod sets; a set is `ways` slots side by side.
//
// A slot's `state` is its lock and its version:
//   bit 0 writing, bit 1 full (neither: empty), bits 2 to 31 version, bits 32 to 63 the writer's
//   pid
// A writer goes from empty or full to writing with its pid, and from there to full; each way the
// version grows, so a reader that sees one state before and after its copy has seen one block. What
// else goes wrong, the checksum tells.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace aorta::engine::store_format {

inline constexpr char magic[8] = {'A', 'O', 'R', 'T', 'A', 'K', 'V', '\0'};
inline constexpr std::uint32_t version = 1;
inline constexpr std::uint32_t byte_order = 0x01020304;
inline constexpr std::uint64_t page = 4096;
inline constexpr std::uint64_t ways = 8;

using Counter = std::atomic<std::uint64_t>;
static_assert(Counter::is_always_lock_free, "the counters are shared between processes");

struct Header {
  char magic[8];
  std::uint32_t version, byte_order;
  std::uint64_t file_bytes, block_bytes, stride, slots;
  Counter closed;             // 1: its owner has gone for good
  alignas(64) Counter clock;  // of `used`
  Counter saved, loaded, missed, evicted, refused, torn;
};
static_assert(sizeof(Header) <= page);

struct Slot {
  Counter state;
  Counter low, high;  // the name
  Counter numerics;   // hash of the numerics_id
  Counter bytes, checksum;
  Counter used;     // the header's clock at the last use
  Counter claimed;  // 1: its block has memory
};
static_assert(sizeof(Slot) == 64);

inline constexpr std::uint64_t writing = 1, full = 2, version_one = 4;

constexpr std::uint64_t writer_of(std::uint64_t state) { return state >> 32; }
// The next version of `state` with these bits and writer.
constexpr std::uint64_t after(std::uint64_t state, std::uint64_t bits, std::uint64_t writer = 0) {
  return writer << 32 | (((state & 0xFFFFFFFC) + version_one) & 0xFFFFFFFC) | bits;
}

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + page - 1) / page * page;
}
constexpr std::uint64_t blocks_at(std::uint64_t slots) {
  return whole_pages(page + slots * sizeof(Slot));
}

}  // namespace aorta::engine::store_format
