#pragma once
// Aorta over ZeroMQ, for C++17: a header over cppzmq and msgpack-cxx.
//
//   aorta::client::Client client;
//   aorta::client::Request request("Why is the sky blue?");
//   for (const auto& piece : client.generate(request.set("max_tokens", 60))) {
//     std::cout << piece.text << std::flush;
//   }
//
// A connection that is cut or falls silent is made anew, and every open answer goes on at the very
// token where it stopped (Options::retries). A refusal is never tried again in here: it is a
// Rejected with `retry_after`. A Client and its streams are for one thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aorta/client/channel.hpp"

namespace aorta::client {

// An answer on its way: read it with a range-for, next() or read(). One that is left before its
// end is cancelled, unless its request says `on_disconnect`.
class Stream {
 public:
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) = delete;
  ~Stream() {
    if (channel_) channel_->leave(*answer_);
  }

  // The next piece, when it has come; nothing at the end. Throws Failed, ConnectionLost,
  // AnswerLost, Rejected (of a resume), and Interrupted, after which it can be called again.
  std::optional<Piece> next() {
    while (answer_->open) {
      if (auto piece = step()) return piece;
    }
    return std::nullopt;
  }
  // Waits for the end and returns the whole text.
  const std::string& read() {
    while (next()) {
    }
    return text();
  }
  // Asks for the end. What is on its way still comes, then a result `cancelled`.
  void cancel() {
    if (!answer_->open || answer_->request.empty()) return;
    answer_->cancelled = true;
    channel_->cancel(answer_->request);
  }

  const std::string& request() const { return answer_->request; }  // 32 hex digits
  const std::string& model() const { return answer_->model; }
  std::uint64_t seed() const { return answer_->seed; }
  // What has come so far, of each choice; below: of the first.
  const std::vector<Choice>& choices() const { return answer_->choices; }
  const std::string& text() const { return choices()[0].text; }
  const std::string& reasoning() const { return choices()[0].reasoning; }
  const std::vector<std::uint32_t>& ids() const { return choices()[0].ids; }
  const std::vector<Logprob>& logprobs() const { return choices()[0].logprobs; }
  const std::optional<Result>& result() const { return choices()[0].result; }  // after the end
  // Where Client::resume() goes on.
  std::vector<std::uint32_t> next_index() const { return answer_->next_index(); }

  struct End {};
  class Iterator {
   public:
    explicit Iterator(Stream& stream) : stream_(stream), piece_(stream.next()) {}
    const Piece& operator*() const { return *piece_; }
    Iterator& operator++() {
      piece_ = stream_.next();
      return *this;
    }
    bool operator!=(End) const { return piece_.has_value(); }

   private:
    Stream& stream_;
    std::optional<Piece> piece_;
  };
  Iterator begin() { return Iterator(*this); }
  End end() const { return {}; }

 private:
  friend class Client;
  Stream(std::shared_ptr<detail::Channel> channel, std::shared_ptr<detail::Answer> answer)
      : channel_(std::move(channel)), answer_(std::move(answer)) {
    channel_->start(answer_);
    try {
      while (!answer_->accepted) step();
    } catch (...) {
      channel_->leave(*answer_);
      throw;
    }
  }

  std::optional<Piece> step() {
    try {
      return answer_->apply(channel_->reply_to(*answer_));
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      answer_->open = false;
      throw;
    } catch (const msgpack::type_error&) {
      answer_->open = false;
      throw Error("protocol", "the server's message has a field of another type");
    }
  }

  std::shared_ptr<detail::Channel> channel_;
  std::shared_ptr<detail::Answer> answer_;
};

class Client {
 public:
  explicit Client(Options options = {})
      : channel_(std::make_shared<detail::Channel>(std::move(options))) {}
  explicit Client(const std::string& address) : Client(at(address)) {}

  // Asks, and returns the answer's stream once it is accepted. Throws Rejected, ConnectionLost.
  Stream generate(const Request& request) {
    PackedMap body = request.body();
    if (channel_->retries() && !body.has("idempotency_key")) {
      body.set("idempotency_key", detail::draw_key());
    }
    return Stream(channel_, std::make_shared<detail::Answer>("generate", std::move(body),
                                                             request.says_on_disconnect()));
  }
  // The same, each piece handed to `on_piece`; how it ended.
  Result generate(const Request& request, const std::function<void(const Piece&)>& on_piece) {
    Stream stream = generate(request);
    while (auto piece = stream.next()) on_piece(*piece);
    return *stream.result();
  }
  // Goes on with an answer at a token index (one for each choice), on any connection.
  Stream resume(const std::string& request, const std::vector<std::uint32_t>& next_index = {0}) {
    return Stream(channel_, std::make_shared<detail::Answer>(request, next_index));
  }
  // Asks for the end of a request, whoever reads it; its stream then ends `cancelled`.
  void cancel(const std::string& request) { channel_->cancel(request); }

  std::vector<std::string> models() {
    return ask("models").get<std::vector<std::string>>("models");
  }
  // Whether the mesh can serve now.
  Status status() { return ask("status").as<Status>(); }

 private:
  static Options at(const std::string& address) {
    Options options;
    options.address = address;
    return options;
  }
  detail::Reply ask(const char* verb) {
    const auto call = std::make_shared<detail::Call>(verb, PackedMap());
    channel_->start(call);
    return channel_->reply_to(*call);
  }

  std::shared_ptr<detail::Channel> channel_;
};

}  // namespace aorta::client
