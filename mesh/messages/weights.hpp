#pragma once
// Packed weights and shared KV blocks: executor ↔ cache.
#include <cstdint>
#include <string>
#include <tuple>

#include "mesh/messages/names.hpp"

namespace aorta::mesh {

struct PackRequest {
  static constexpr std::uint16_t number = 40;
  std::string gguf_path;             // empty: no pack is asked for
  std::uint64_t kv_block_bytes = 0;  // then: a store for KV blocks of so many bytes
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.gguf_path, s.kv_block_bytes);
  }
};
// Sent while packing (ready = false, with progress) and at the end. The lease lasts while the
// executor is a member.
struct PackReply {
  static constexpr std::uint16_t number = 41;
  std::string gguf_path;
  bool ready = false;
  std::string pack_path;
  std::uint32_t percent = 0;
  std::string error;          // not empty: it cannot be packed, and why
  std::string kv_store_path;  // with no gguf_path: the host's store of such blocks, or none
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.gguf_path, s.ready, s.pack_path, s.percent, s.error, s.kv_store_path);
  }
};

}  // namespace aorta::mesh
