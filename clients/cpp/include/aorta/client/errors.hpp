#pragma once
// What can go wrong. Everything thrown is an Error.
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace aorta::client {

// `reason` is a short code for programs, what() for people; `status` is HTTP's.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, int http_status = 500)
      : std::runtime_error(message), reason(std::move(code)), status(http_status) {}
  std::string reason;
  int status;
};

// Not accepted. `retry_after` is set where trying again would help.
class Rejected : public Error {
 public:
  using Error::Error;
  std::string param;  // the field at fault, if one is
  std::optional<std::chrono::milliseconds> retry_after;
};

// Accepted, but ended in an error; nothing that was delivered is taken back.
class Failed : public Error {
 public:
  using Error::Error;
};

// Nobody answers. Client::resume(request, next_index) goes on where it stopped; `request` is empty
// when the server had not accepted yet.
class ConnectionLost : public Error {
 public:
  explicit ConnectionLost(const std::string& message) : Error("connection_lost", message) {}
  std::string request;
  std::vector<std::uint32_t> next_index;  // of each choice
};

// The connection was cut, and the server that answers now does not know the request: it was
// restarted, or the cut outlasted the time for which it keeps answers.
class AnswerLost : public Error {
 public:
  AnswerLost(const std::string& request, std::size_t tokens)
      : Error("answer_lost",
              "the server does not know request " + request +
                  " any more: it was restarted, or the connection was cut for too long; " +
                  std::to_string(tokens) + " tokens had come",
              404) {}
};

// A signal came while waiting. Nothing has changed: read on, or cancel.
class Interrupted : public Error {
 public:
  Interrupted() : Error("interrupted", "interrupted by a signal") {}
};

}  // namespace aorta::client
