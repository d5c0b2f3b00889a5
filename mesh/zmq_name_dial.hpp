#pragma once
// Connects a ZeroMQ socket to a host by its name, and anew when the name has come to mean another
// address, as a restarted container's does. libzmq looks names up as well, but on its only I/O
// thread: while a name server is silent, no other connection of this process would move.
#include <functional>
#include <memory>
#include <string>

#include "mesh/wire_loop.hpp"

namespace aorta::mesh {

struct NameDialOptions {
  std::string host, port;
  // Calls back on the loop, once, with an address, or with nothing when there is none now.
  using Found = std::function<void(const std::string& address)>;
  std::function<void(const std::string& host, Found found)> look_up;  // empty: the system's
};

class NameDial {
 public:
  // Looks the name up as long as there is no connection.
  NameDial(WireLoop& loop, void* zmq_socket, NameDialOptions options);
  ~NameDial();  // while the socket is open still

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Whether the host of tcp://HOST:PORT is a name and no address.
bool dials_a_name(const std::string& endpoint);
NameDialOptions to_name_dial(const std::string& endpoint);

}  // namespace aorta::mesh
