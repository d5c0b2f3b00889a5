#include "actors/executor/pack_search.hpp"

#include <algorithm>
#include <utility>

namespace aorta::executor {

void PackSearch::start(TimePoint now) {
  opening_ = options_.opens_at_once;
  if (options_.gguf_path.empty() || options_.cache_address.empty()) return found("");
  next_request_ = now;
  give_up_at_ = now + options_.cache_wait;
}

void PackSearch::found(std::string pack_path) {
  if (!std::exchange(opening_, true)) command_ = LoadCommand{std::move(pack_path)};
  next_request_ = give_up_at_ = never;
}

void PackSearch::on_reply(const mesh::PackReply& reply, TimePoint now) {
  if (give_up_at_ == never || reply.gguf_path != options_.gguf_path) return;
  give_up_at_ = now + options_.cache_silence;  // it is alive and at work
  if (!reply.error.empty()) {
    found("");
  } else if (reply.ready) {
    found(reply.pack_path);
  }
}

void PackSearch::tick(TimePoint now, mesh::Outbox& out) {
  if (now >= give_up_at_) return found("");
  if (now < next_request_) return;
  next_request_ = now + options_.pack_request_every;
  out.send({cache_name, {}}, mesh::PackRequest{options_.gguf_path});
}

TimePoint PackSearch::next_tick() const { return std::min(next_request_, give_up_at_); }

std::optional<LoadCommand> PackSearch::take() { return std::exchange(command_, std::nullopt); }

}  // namespace aorta::executor
