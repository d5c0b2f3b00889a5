#include "mesh/codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <msgpack.hpp>
#include <type_traits>

namespace aorta::mesh {
namespace {

// ── What kinds of values fields are ──────────────────────────────────────────────────────────
template <class T>
concept Struct = requires(T& value) {
  T::fields(value);
};
template <class T>
struct IsStrong : std::false_type {};
template <class Tag, class T>
struct IsStrong<Strong<Tag, T>> : std::true_type {};

// The last value of each enum: decoders refuse what lies beyond.
constexpr ServiceKind last(ServiceKind) { return ServiceKind::tool; }
constexpr ServiceState last(ServiceState) { return ServiceState::dead; }
constexpr Tier last(Tier) { return Tier::normal; }
constexpr Determinism last(Determinism) { return Determinism::strict; }
constexpr LostReason last(LostReason) { return LostReason::lease; }
constexpr Finish last(Finish) { return Finish::length; }
constexpr FigureKind last(FigureKind) { return FigureKind::gauge; }

// ── Writing ──────────────────────────────────────────────────────────────────────────────────
struct StringStream {
  std::string& bytes;
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};

class Writer {
 public:
  explicit Writer(std::string& bytes) : stream_{bytes}, packer_(stream_) {}

  template <class T>
  void write(const T& value) {
    if constexpr (Struct<T>) {
      const auto fields = T::fields(value);
      packer_.pack_array(std::tuple_size_v<decltype(fields)>);
      std::apply([this](const auto&... field) { (write(field), ...); }, fields);
    } else if constexpr (IsStrong<T>::value) {
      packer_.pack(value.value);
    } else if constexpr (std::is_enum_v<T>) {
      packer_.pack(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      write_float(value);
    } else {
      packer_.pack(value);
    }
  }
  template <class T>
  void write(const std::vector<T>& values) {
    packer_.pack_array(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) write(value);
  }
  template <class A, class B>
  void write(const std::pair<A, B>& pair) {
    packer_.pack_array(2);
    write(pair.first);
    write(pair.second);
  }
  void write(const RequestId& id) {
    std::array<char, 16> bytes;
    for (int i = 0; i < 8; ++i) {
      bytes[i] = static_cast<char>(id.high >> (56 - 8 * i));
      bytes[i + 8] = static_cast<char>(id.low >> (56 - 8 * i));
    }
    packer_.pack_bin(bytes.size());
    packer_.pack_bin_body(bytes.data(), bytes.size());
  }

 private:
  // The library tries floats as integers first, and 2^64 is none that it can hold.
  template <class T>
  void write_float(T value) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const Bits bits = std::bit_cast<Bits>(value);
    std::array<char, 1 + sizeof(T)> bytes{static_cast<char>(sizeof(T) == 4 ? 0xca : 0xcb)};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes[1 + i] = static_cast<char>(bits >> (8 * (sizeof(T) - 1 - i)));
    }
    stream_.write(bytes.data(), bytes.size());
  }

  StringStream stream_;
  msgpack::packer<StringStream> packer_;
};

// What a hostile body may make us allocate is bounded by these and by its own size.
constexpr std::size_t max_depth = 8;            // the deepest message has seven levels
constexpr std::size_t max_elements = 1u << 20;  // of an array: the ids of a prompt
constexpr std::size_t max_structs = 1u << 16;   // of an array of structs: open requests

// ── Reading ──────────────────────────────────────────────────────────────────────────────────
// Each read() answers whether the object fits the value; `expected` then says what was wanted.
class Reader {
 public:
  std::string expected;
  std::string path;  // of the field that did not fit: "2.0"

  template <class T>
  bool read(const msgpack::object& object, T& value) {
    if constexpr (Struct<T>) {
      return read_struct(object, value);
    } else if constexpr (IsStrong<T>::value) {
      return read(object, value.value);
    } else if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      if (!read(object, number)) return false;
      if (number > static_cast<std::underlying_type_t<T>>(last(T{}))) {
        return want("a known enumerator");
      }
      value = static_cast<T>(number);
      return true;
    } else if constexpr (std::is_integral_v<T>) {
      return read_integer(object, value);
    } else {
      static_assert(std::is_floating_point_v<T>, "a type of field that the codec does not know");
      return read_float(object, value);
    }
  }
  bool read(const msgpack::object& object, bool& value) {
    if (object.type != msgpack::type::BOOLEAN) return want("a boolean");
    value = object.via.boolean;
    return true;
  }
  bool read(const msgpack::object& object, std::string& value) {
    if (object.type != msgpack::type::STR) return want("a string");
    value.assign(object.via.str.ptr, object.via.str.size);
    return true;
  }
  bool read(const msgpack::object& object, RequestId& value) {
    if (object.type != msgpack::type::BIN || object.via.bin.size != 16) {
      return want("16 bytes of binary");
    }
    value = {};
    for (int i = 0; i < 8; ++i) {
      value.high = value.high << 8 | static_cast<unsigned char>(object.via.bin.ptr[i]);
      value.low = value.low << 8 | static_cast<unsigned char>(object.via.bin.ptr[i + 8]);
    }
    return true;
  }
  template <class T>
  bool read(const msgpack::object& object, std::vector<T>& values) {
    if (object.type != msgpack::type::ARRAY) return want("an array");
    if (Struct<T> && object.via.array.size > max_structs) return want("an array of at most 65536");
    values.resize(object.via.array.size);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!read(object.via.array.ptr[i], values[i])) return at(i);
    }
    return true;
  }
  template <class A, class B>
  bool read(const msgpack::object& object, std::pair<A, B>& pair) {
    if (object.type != msgpack::type::ARRAY || object.via.array.size != 2) {
      return want("an array of two");
    }
    if (!read(object.via.array.ptr[0], pair.first)) return at(0);
    if (!read(object.via.array.ptr[1], pair.second)) return at(1);
    return true;
  }

 private:
  bool want(const char* what) {
    expected = what;
    return false;
  }
  bool at(std::size_t index) {
    path = path.empty() ? std::to_string(index) : fmt::format("{}.{}", index, path);
    return false;
  }

  // Missing fields keep their defaults; fields beyond those known are skipped.
  template <Struct T>
  bool read_struct(const msgpack::object& object, T& value) {
    if (object.type != msgpack::type::ARRAY) return want("an array");
    const auto& array = object.via.array;
    std::size_t index = 0;
    auto read_next = [&](auto& field) {
      if (index >= array.size) return true;
      if (!read(array.ptr[index], field)) return at(index);
      ++index;
      return true;
    };
    return std::apply([&](auto&... field) { return (read_next(field) && ...); }, T::fields(value));
  }
  template <class T>
  bool read_integer(const msgpack::object& object, T& value) {
    if (object.type == msgpack::type::POSITIVE_INTEGER) {
      if (object.via.u64 <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
        value = static_cast<T>(object.via.u64);
        return true;
      }
    } else if (std::is_signed_v<T> && object.type == msgpack::type::NEGATIVE_INTEGER &&
               object.via.i64 >= static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
      value = static_cast<T>(object.via.i64);
      return true;
    }
    expected = fmt::format("an integer of {} to {}", std::numeric_limits<T>::min(),
                           std::numeric_limits<T>::max());
    return false;
  }
  template <class T>
  bool read_float(const msgpack::object& object, T& value) {
    double number = 0;
    switch (object.type) {
      case msgpack::type::FLOAT32:
      case msgpack::type::FLOAT64:
        number = object.via.f64;
        break;
      case msgpack::type::POSITIVE_INTEGER:
        number = static_cast<double>(object.via.u64);
        break;
      case msgpack::type::NEGATIVE_INTEGER:
        number = static_cast<double>(object.via.i64);
        break;
      default:
        return want("a number");
    }
    // Infinities pass (logit_bias may use them); what no float can hold does not.
    if (std::isfinite(number) && std::abs(number) > std::numeric_limits<T>::max()) {
      return want("a number that its type of float can hold");
    }
    value = static_cast<T>(number);
    return true;
  }
};

// ── The list of messages ─────────────────────────────────────────────────────────────────────
template <class Variant>
struct List;
template <class... Ms>
struct List<std::variant<Ms...>> {
  static constexpr std::array<std::uint16_t, sizeof...(Ms)> numbers{Ms::number...};

  static constexpr bool unique() {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (numbers[i] == numbers[j]) return false;
      }
    }
    return true;
  }
  // Fills `message` when the number is one of Ms; `fits` says whether the object was well-formed.
  static bool read(std::uint16_t number, const msgpack::object& object, Reader& reader,
                   Message& message, bool& fits) {
    return ((number == Ms::number &&
             (fits = reader.read(object, message.template emplace<Ms>()), true)) ||
            ...);
  }
  static bool known(std::uint16_t number) { return ((number == Ms::number) || ...); }
};
using Messages = List<Message>;
static_assert(Messages::unique(), "two messages share a number");

Error corrupt(std::uint16_t number, std::string_view why) {
  return {ErrorCode::corrupt, fmt::format("message {}: {}", number, why)};
}

}  // namespace

std::uint16_t number_of(const Message& message) {
  return std::visit([](const auto& m) { return m.number; }, message);
}

std::string encode_type(const Message& message) {
  const std::uint16_t number = number_of(message);
  return {static_cast<char>(number >> 8), static_cast<char>(number)};
}

std::string encode_body(const Message& message) {
  std::string body;
  Writer writer(body);
  std::visit([&](const auto& m) { writer.write(m); }, message);
  return body;
}

Result<Message> decode(std::uint16_t number, std::string_view body) {
  if (!Messages::known(number)) {
    return Error{ErrorCode::unsupported,
                 fmt::format("message {} is not known to this version of aorta", number)};
  }
  // An element takes at least a byte, so no honest count exceeds the size of the body. msgpack
  // allocates by the count that it reads, before the elements.
  const std::size_t size = body.size();
  const std::size_t elements = std::min(size, max_elements);
  const msgpack::unpack_limit limits(elements, elements, size, size, size, max_depth);
  msgpack::object_handle handle;
  std::size_t end = 0;
  try {
    msgpack::unpack(handle, body.data(), body.size(), end, nullptr, nullptr, limits);
  } catch (const msgpack::unpack_error&) {
    return corrupt(number, "the body is cut off, too deep or not msgpack");
  } catch (const std::bad_alloc&) {
    return corrupt(number, "the body asks for more memory than there is");
  }
  if (end != body.size()) return corrupt(number, "bytes follow the body");

  Message message;
  Reader reader;
  bool fits = false;
  Messages::read(number, handle.get(), reader, message, fits);
  if (!fits) {
    return corrupt(number, reader.path.empty()
                               ? fmt::format("the body is not {}", reader.expected)
                               : fmt::format("field {} is not {}", reader.path, reader.expected));
  }
  return message;
}

Result<Message> decode(std::string_view type_frame, std::string_view body) {
  if (type_frame.size() != 2) {
    return Error{ErrorCode::corrupt,
                 fmt::format("a type frame has 2 bytes, this one {}", type_frame.size())};
  }
  const auto high = static_cast<unsigned char>(type_frame[0]);
  const auto low = static_cast<unsigned char>(type_frame[1]);
  return decode(static_cast<std::uint16_t>(high << 8 | low), body);
}

}  // namespace aorta::mesh
