#pragma once
// When each executor is acknowledged: soon after news, never more often than every
// `at_least_apart`, and every `at_most_apart` while it holds anything, which renews its leases.
#include <map>
#include <set>
#include <vector>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::admission {

class AckBook {
 public:
  struct Entry {
    std::set<RequestId> held;            // requests whose present epoch is placed there
    std::vector<mesh::AckItem> endings;  // of streams that are complete, to be sent once
    bool connected = false;
    bool news = false;
    TimePoint last{};
  };

  AckBook(Duration at_least_apart, Duration at_most_apart);

  void hold(const mesh::PeerId& executor, RequestId request, bool connected, TimePoint now);
  void release(const mesh::PeerId& executor, RequestId request);
  // Released with a last acknowledgement: the stream is complete.
  void complete(const mesh::PeerId& executor, const mesh::AckItem& ending);
  void news(const mesh::PeerId& executor);
  void set_connected(const mesh::PeerId& executor, bool connected);
  const Entry* find(const mesh::PeerId& executor) const;
  // The executor is gone for good; returns what it held.
  std::vector<RequestId> drop(const mesh::PeerId& executor);
  // Incarnations of that name that hold something.
  std::vector<mesh::PeerId> lives_of(const std::string& name) const;
  const std::map<mesh::PeerId, Entry>& entries() const { return entries_; }

  // Executors to acknowledge now; the caller sends one Ack each and calls sent(). Forgets executors
  // that hold nothing.
  std::vector<mesh::PeerId> due(TimePoint now);
  void sent(const mesh::PeerId& executor, TimePoint now);
  TimePoint next_due() const;

 private:
  TimePoint due_at(const Entry& entry) const;
  Duration at_least_apart_, at_most_apart_;
  std::map<mesh::PeerId, Entry> entries_;
};

}  // namespace aorta::admission
