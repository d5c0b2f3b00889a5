#pragma once
// A request and its fields, packed as they are set.
#include <array>
#include <cstdint>
#include <map>
#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace aorta::client {

struct Message {
  std::string role;  // system, developer, user or assistant
  std::string content;
};

// A msgpack map, each value already packed.
class PackedMap {
 public:
  template <class T>
  void set(const std::string& name, const T& value) {
    msgpack::sbuffer buffer;
    msgpack::pack(buffer, value);
    fields_[name].assign(buffer.data(), buffer.size());
  }
  void set_packed(const std::string& name, std::string packed) {
    fields_[name] = std::move(packed);
  }
  bool has(const std::string& name) const { return fields_.count(name) > 0; }
  bool empty() const { return fields_.empty(); }
  std::string pack() const {
    msgpack::sbuffer head;
    msgpack::packer<msgpack::sbuffer> packer(head);
    packer.pack_map(static_cast<std::uint32_t>(fields_.size()));
    std::string text(head.data(), head.size());
    for (const auto& [name, value] : fields_) {
      head.clear();
      packer.pack(name);
      text.append(head.data(), head.size()).append(value);
    }
    return text;
  }

 private:
  std::map<std::string, std::string> fields_;
};

// What to ask. Fields are OpenAI's and Aorta's (docs/protocol.md): max_tokens, temperature, seed,
// stop, n, … and tier, timeout_ms, determinism, on_disconnect.
class Request {
 public:
  explicit Request(const std::string& question)
      : Request(std::vector<Message>{{"user", question}}) {}
  explicit Request(const std::vector<Message>& conversation) {
    std::vector<std::map<std::string, std::string>> messages;
    for (const Message& message : conversation) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    body_.set("messages", messages);
  }
  // Raw text, or token ids, without a chat template.
  static Request prompt(const std::string& text) { return Request().set("prompt", text); }
  static Request prompt(const std::vector<std::uint32_t>& ids) {
    return Request().set("prompt", ids);
  }

  // `value`: whatever msgpack can pack, such as a number, a string, a vector or a map.
  template <class T>
  Request& set(const std::string& field, const T& value) {
    (is_own(field) ? own_ : body_).set(field, value);
    return *this;
  }

  PackedMap body() const {
    PackedMap whole = body_;
    if (!own_.empty()) whole.set_packed("aorta", own_.pack());
    return whole;
  }
  bool says_on_disconnect() const { return own_.has("on_disconnect"); }

 private:
  Request() = default;
  // On the wire, what only Aorta has is under `aorta`.
  static bool is_own(std::string_view field) {
    constexpr std::array<std::string_view, 5> own = {"tier", "tenant_class", "timeout_ms",
                                                     "determinism", "on_disconnect"};
    for (const std::string_view name : own) {
      if (field == name) return true;
    }
    return false;
  }

  PackedMap body_, own_;
};

}  // namespace aorta::client
