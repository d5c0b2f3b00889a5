#pragma once
// A value or an error that a user can act on. Errors that can happen are values; what must not
// happen is AORTA_CHECK, which stays on in release.
#include <string>
#include <utility>
#include <variant>

namespace aorta {

enum class ErrorCode {
  invalid_argument,    // the caller's input is wrong: fix it and ask again
  not_found,           // the named thing does not exist
  corrupt,             // a file or message does not say what its format promises
  unsupported,         // well-formed, but this build cannot do it
  resource_exhausted,  // memory, disk, slots or a configured limit ran out
  unavailable,         // nothing can serve it now: try again later
  conflict,            // somebody else holds it
  io,                  // the operating system refused
};

// `message` is one sentence: what was wrong, where, and what is allowed or what to do.
struct Error {
  ErrorCode code;
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::move(error)) {}
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<std::monostate, Error> state_;
};

// Prints `sentence` with its place and aborts: the state is no longer what the code believes.
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const char* sentence);

}  // namespace aorta

#define AORTA_CHECK(condition, sentence) \
  ((condition) ? void() : ::aorta::check_failed(#condition, __FILE__, __LINE__, sentence))
