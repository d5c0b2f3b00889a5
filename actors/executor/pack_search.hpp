#pragma once
// Before the engine: where is the pack of the model? The cache is asked, so that a host packs once;
// when it is dead, silent or cannot, the executor packs for itself. Where a pack is there already
// nobody waits for the cache: it is asked all the same, so that it keeps that pack.
#include <optional>
#include <string>

#include "actors/executor/options.hpp"
#include "base/clock.hpp"
#include "mesh/service.hpp"

namespace aorta::executor {

inline constexpr const char* cache_name = "cache";

// The engine is to be opened now.
struct LoadCommand {
  std::string pack_path;  // empty: pack it here, or there is nothing to pack
};

class PackSearch {
 public:
  explicit PackSearch(const ExecutorOptions& options) : options_(options) {}

  void start(TimePoint now);
  void on_reply(const mesh::PackReply& reply, TimePoint now);
  void tick(TimePoint now, mesh::Outbox& out);
  TimePoint next_tick() const;
  std::optional<LoadCommand> take();  // once, when it is known

 private:
  void found(std::string pack_path);

  ExecutorOptions options_;
  TimePoint next_request_ = never;
  TimePoint give_up_at_ = never;
  bool opening_ = false;  // no command is to come
  std::optional<LoadCommand> command_;
};

}  // namespace aorta::executor
