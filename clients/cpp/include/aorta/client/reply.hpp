#pragma once
// A message of the server, with the fields of its body.
#include <chrono>
#include <cstdint>
#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "aorta/client/errors.hpp"
#include "aorta/client/request.hpp"

namespace aorta::client::detail {

class Reply {
 public:
  Reply(std::string its_verb, const char* data, std::size_t size)
      : verb(std::move(its_verb)), body_(msgpack::unpack(data, size)) {
    if (body_->type != msgpack::type::MAP) throw msgpack::type_error();
  }
  // Our own, when the connection is gone and no retry is left.
  static Reply lost(const std::string& why) {
    PackedMap body;
    body.set("why", why);
    const std::string packed = body.pack();
    return Reply("lost", packed.data(), packed.size());
  }
  template <class T>
  T get(const char* name, T fallback = {}) const {
    const auto& map = body_->via.map;
    for (std::uint32_t i = 0; i < map.size; ++i) {
      const msgpack::object& key = map.ptr[i].key;
      const bool found = key.type == msgpack::type::STR &&
                         std::string_view(key.via.str.ptr, key.via.str.size) == name;
      if (found) return map.ptr[i].val.template as<T>();
    }
    return fallback;
  }
  template <class T>
  T as() const {
    return body_->as<T>();
  }
  std::string verb;

 private:
  msgpack::object_handle body_;
};

inline Rejected rejection(const Reply& reply) {
  Rejected error(reply.get<std::string>("code"), reply.get<std::string>("message"),
                 reply.get<int>("status", 400));
  error.param = reply.get<std::string>("param");
  if (const auto wait_ms = reply.get<std::uint32_t>("retry_after_ms"); wait_ms > 0) {
    error.retry_after = std::chrono::milliseconds(wait_ms);
  }
  return error;
}

}  // namespace aorta::client::detail
