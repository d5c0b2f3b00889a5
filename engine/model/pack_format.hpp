#pragma once
// The bytes of a pack, little-endian:
//   pack   = header table data
//   table  = entry × header.entries
//   data   = the entries' bytes, each at a multiple of 64 from the file's start, zeros between
// `header_checksum` covers the header (with that field 0) and the table, and is checked at each
// open; `data_checksum` covers the data and is checked when asked for (verify_pack). A reader
// refuses a newer version and rebuilds an older one: packs are made from a model's files and can be
// made again.
#include <cstdint>
#include <type_traits>

namespace aorta::engine {

inline constexpr char pack_magic[8] = {'A', 'O', 'R', 'T', 'A', 'P', 'K', '1'};
inline constexpr std::uint32_t pack_version = 3;
inline constexpr std::uint64_t pack_alignment = 64;

// The files that a pack was made from: one GGUF file, or a directory's.
struct PackSource {
  std::uint64_t size_bytes;  // of all of them
  std::uint64_t files;
  std::uint64_t stamp;      // hash of each one's size, time of change and canonical path
  std::uint64_t digest[2];  // XXH3 128 of the file, or of the files' digests: low, high
};

struct PackHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t entries;
  std::uint64_t file_bytes;
  std::uint64_t data_offset;
  std::uint64_t data_checksum;  // XXH3 64 of [data_offset, file_bytes)
  PackSource source;
  std::uint64_t header_checksum;  // XXH3 64
};

enum class PackKind : std::uint32_t {
  weight = 1,  // groups of 16 outputs (engine/cpu/weight_formats.hpp)
  floats = 2,  // float32, `rows` × `columns`, row-major
  bytes = 3,   // what the architecture keeps there
};

struct PackEntry {
  char name[64];       // ends in a zero
  std::uint32_t kind;  // PackKind
  std::uint32_t type;  // of a weight: WeightType
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint64_t offset;
  std::uint64_t bytes;
};

static_assert(sizeof(PackHeader) == 88 && std::is_trivially_copyable_v<PackHeader>);
static_assert(sizeof(PackEntry) == 96 && std::is_trivially_copyable_v<PackEntry>);

}  // namespace aorta::engine
