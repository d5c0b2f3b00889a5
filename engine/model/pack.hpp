#pragma once
// The packed form of a model: weights in the order the kernels read them, at the bits their
// files gave them, with rope tables and hyperparameters. Made once per content and shared between
// processes by mmap. Bytes: pack_format.hpp.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "engine/backend.hpp"
#include "engine/model/pack_format.hpp"

namespace aorta::engine {

class Pack {
 public:
  virtual ~Pack() = default;
  virtual const std::string& path() const = 0;
  virtual const PackHeader& header() const = 0;
  virtual std::string digest() const = 0;  // of the model's files, 32 hex digits
  virtual std::span<const PackEntry> entries() const = 0;

  // Each names the entry in its error (corrupt) when it is missing or of another kind or shape.
  virtual Result<Weight> weight(std::string_view name, std::uint32_t rows,
                                std::uint32_t columns) const = 0;
  virtual Result<const float*> floats(std::string_view name, std::uint32_t rows,
                                      std::uint32_t columns) const = 0;
  virtual Result<std::span<const std::byte>> bytes(std::string_view name) const = 0;
};

// Maps a pack, shared and read-only, and checks its header and table; not its data, so that opening
// costs no reading. Errors: not_found, io, corrupt (truncated, lying, of an older version: says
// which; pack_model makes it again), unsupported (made by a newer aorta).
Result<std::shared_ptr<const Pack>> open_pack(const std::string& path);

// Reads the whole file and compares the data's checksum.
Result<void> verify_pack(const Pack& pack);

// Whether the pack was made from what is at `model_path` now (see ModelSource::open): by size, time
// of change and path of its files, and when only those last two differ by their content. Errors:
// io, conflict (other files), those of ModelSource::open.
Result<void> check_source(const Pack& pack, const std::string& model_path);

// Path of a usable pack in `directory` made from what is at `model_path` now, found by the files'
// sizes, times of change and paths, without reading them; empty: there is none. Errors: io, those
// of source_files.
Result<std::string> find_pack(const std::string& model_path, const std::string& directory);

// Called now and then with bytes written so far and in all.
using PackProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

// Path of the pack of `model_path` in `directory`, DIGEST.pack, made if it isn't there, is stale or
// damaged in its header, or `again` is asked for. Any number of processes may ask at once: one
// makes it, the others wait on the directory's lock file. Errors: those of ModelSource::open and
// plan_pack; io (the directory can't be written), resource_exhausted (disk full), unsupported (a
// newer aorta's pack is there).
Result<std::string> pack_model(const std::string& model_path, const std::string& directory,
                               const PackProgress& progress = {}, bool again = false);

}  // namespace aorta::engine
