#pragma once
// Who belongs to the mesh, in which state, and who has been silent for too long.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::scheduler {

class Members {
 public:
  // `self` is listed like everybody else. Versions grow over our restarts too.
  explicit Members(const mesh::Hello& self);

  // A hello. Returns the earlier life that this one replaces, if that was not known to be over.
  std::optional<mesh::PeerId> joined(const mesh::Hello& hello, TimePoint now);
  void heard(const std::string& name, TimePoint now);
  void cut(const std::string& name, TimePoint now);  // its connection is gone, until it is heard
  void set_state(const std::string& name, mesh::ServiceState state);
  void describe(const std::string& name, const std::string& model, const std::string& numerics_id);
  void died(const std::string& name, TimePoint now);  // stays listed for a while
  void left(const std::string& name);                 // on purpose: is listed no more

  // For `limit`, or for `cut_limit` and as long without a connection.
  std::vector<mesh::PeerId> silent(Duration limit, Duration cut_limit, TimePoint now) const;
  void forget_dead(Duration after, TimePoint now);
  // Time in which this scheduler itself stood still does not count against anybody.
  void forgive(Duration gap);

  const mesh::Member* find(const std::string& name) const;
  bool alive(const std::string& name) const;
  std::vector<mesh::PeerId> others() const;  // alive, without ourselves
  std::vector<mesh::PeerId> others(mesh::ServiceKind kind) const;
  std::size_t size() const { return table_.size(); }
  mesh::Membership message() const;
  bool take_changed();  // since the last call

 private:
  struct Entry {
    mesh::Member member;
    TimePoint heard{};  // when it is dead: since when
    std::optional<TimePoint> cut;
  };
  std::string self_;
  std::map<std::string, Entry> table_;
  std::uint64_t version_;
  bool changed_ = true;
};

}  // namespace aorta::scheduler
