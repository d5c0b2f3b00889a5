#pragma once
// Messages of every type with random contents, for round trips and as seeds of mutated bytes.
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "mesh/messages.hpp"

namespace aorta::mesh {

class RandomMessages {
 public:
  explicit RandomMessages(std::uint64_t seed) : random_(seed) {}

  // Of the type at `index` of Message's list.
  Message of(std::size_t index) { return make(index, std::make_index_sequence<count>{}); }
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  static constexpr std::size_t count = std::variant_size_v<Message>;

 private:
  template <std::size_t... Is>
  Message make(std::size_t index, std::index_sequence<Is...>) {
    Message message;
    ((index == Is && (fill(message.emplace<Is>()), true)) || ...);
    return message;
  }

  template <class T>
  void fill(T& value) {
    if constexpr (requires { T::fields(value); }) {
      std::apply([this](auto&... field) { (fill(field), ...); }, T::fields(value));
    } else if constexpr (requires { value.value; }) {
      fill(value.value);
    } else if constexpr (std::is_same_v<T, bool>) {
      value = number(2) != 0;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(number(2));  // every enum has at least two
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(random_() >> number(64));  // of all lengths
    } else {
      static_assert(std::is_floating_point_v<T>);
      value = static_cast<T>(static_cast<double>(random_()) / 1e12);
    }
  }
  void fill(std::string& text) {
    text.resize(number(40));
    for (char& c : text) c = static_cast<char>(random_());
  }
  void fill(RequestId& id) { id = {random_(), random_()}; }
  template <class T>
  void fill(std::vector<T>& values) {
    values.resize(number(20));
    for (T& value : values) fill(value);
  }
  template <class A, class B>
  void fill(std::pair<A, B>& pair) {
    fill(pair.first);
    fill(pair.second);
  }

  std::mt19937_64 random_;
};

}  // namespace aorta::mesh
