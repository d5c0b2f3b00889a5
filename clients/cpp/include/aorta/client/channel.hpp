#pragma once
// The calls of one client on a connection, which is made anew when it is cut.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "aorta/client/connection.hpp"

namespace aorta::client::detail {

class Channel {
 public:
  explicit Channel(Options options) : options_(std::move(options)) {
    if (const char* key = std::getenv("AORTA_API_KEY"); options_.api_key.empty() && key) {
      options_.api_key = key;
    }
    addresses_ = options_.addresses;
    if (addresses_.empty()) addresses_.push_back(options_.address);
    connection_ = dial();
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  bool retries() const { return options_.retries > 0; }

  void start(const std::shared_ptr<Call>& call) {
    call->id = std::to_string(++last_id_);
    call->retries_left = options_.retries;
    calls_[call->id] = call;
    if (send_opening(*call)) return;
    calls_.erase(call->id);
    throw ConnectionLost(connection_->silence({}));
  }

  // Nobody reads it any more. Before it is accepted it has no name to cancel it by.
  void leave(Answer& answer) {
    answer.abandoned = answer.open && answer.request.empty();
    if (answer.abandoned) return;
    if (answer.open && answer.cancels_when_left()) cancel(answer.request);
    calls_.erase(answer.id);
  }

  void cancel(const std::string& request) { send("cancel", Answer::place(request, {})); }

  // The next reply to `call`. Throws ConnectionLost, Rejected, Interrupted.
  Reply reply_to(Call& call) {
    try {
      wait_for(call);
    } catch (const zmq::error_t& error) {
      if (error.num() == EINTR) throw Interrupted();
      throw Error("zmq", error.what());
    } catch (const msgpack::unpack_error&) {
      throw Error("protocol", connection_->address() + " does not speak aorta's protocol");
    } catch (const msgpack::type_error&) {
      throw Error("protocol", connection_->address() + " does not speak aorta's protocol");
    }
    return call.take();
  }

 private:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;

  void wait_for(Call& call) {
    Clock::time_point since = Clock::now();
    while (call.waits()) {
      const auto before = renewals_;
      const auto until = call.again_at.value_or(since + patience());
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
      const bool cut = connection_->wait(std::max(left, milliseconds(0)));
      receive();  // also what came before a cut
      if (cut) {
        renew("the connection to " + connection_->address() + " was cut");
      } else if (call.waits() && call.again_at) {
        if (Clock::now() < *call.again_at) continue;
        send_opening(call);
        since = Clock::now();
      } else if (call.waits() && left <= milliseconds(0)) {
        silent(call);
      }
      if (renewals_ != before) since = Clock::now();
    }
  }

  milliseconds patience() {
    met_ = met_ || connection_->up();
    const bool elsewhere = addresses_.size() > 1 && !connection_->up();
    return met_ && !elsewhere ? options_.silence : options_.first_contact;
  }

  void receive() {
    std::string verb, body;
    while (connection_->receive(verb, body)) {
      Reply reply(verb, body.data(), body.size());
      const auto found = calls_.find(reply.get<std::string>("id"));
      if (found == calls_.end()) continue;
      if (verb == "tokens" || verb == "waiting") found->second->retries_left = options_.retries;
      const bool unwanted = verb == "accepted" && is_abandoned(*found->second);
      if (unwanted) cancel(reply.get<std::string>("request"));
      if (found->second->arrive(std::move(reply)) || unwanted) calls_.erase(found);
    }
  }

  // Nothing came for it within our patience.
  void silent(Call& call) {
    const std::string why = connection_->silence(patience());
    if (call.retries_left > 0 && (met_ || addresses_.size() > 1)) return renew(why);
    lose(call, why);
  }

  // Moves all calls to a new connection, before the old one says goodbye: so the server sees no
  // moment without a reader. Calls without a retry are lost.
  void renew(const std::string& why) {
    ++renewals_;
    met_ = met_ || connection_->up();
    at_ = (at_ + 1) % addresses_.size();
    const auto old = std::exchange(connection_, dial());
    for (const auto& [id, call] : std::map(calls_)) {
      if (call->retries_left-- == 0 || is_abandoned(*call)) {
        lose(*call, why);
      } else {
        send_opening(*call);
      }
    }
  }

  std::unique_ptr<Connection> dial() {
    options_.address = addresses_[at_];
    return std::make_unique<Connection>(context_, options_);
  }

  // Its reader learns it behind what has arrived.
  void lose(Call& call, const std::string& why) {
    call.arrive(Reply::lost(why));
    calls_.erase(call.id);
  }

  static bool is_abandoned(const Call& call) {
    const auto* answer = dynamic_cast<const Answer*>(&call);
    return answer != nullptr && answer->abandoned;
  }

  bool send_opening(Call& call) {
    bool sent = true;
    for (Outgoing& message : call.opening()) {
      if (message.verb != "cancel") message.body.set("id", call.id);
      sent = send(message.verb, std::move(message.body)) && sent;
    }
    return sent;
  }

  bool send(const std::string& verb, PackedMap body) {
    if (!options_.api_key.empty()) body.set("api_key", options_.api_key);
    return connection_->send(verb, body);
  }

  Options options_;
  zmq::context_t context_;
  std::vector<std::string> addresses_;  // one at least
  std::size_t at_ = 0;                  // the one of this connection
  std::unique_ptr<Connection> connection_;
  std::map<std::string, std::shared_ptr<Call>> calls_;  // by id
  std::uint64_t last_id_ = 0, renewals_ = 0;
  bool met_ = false;  // a server, once
};

// Under a key of its own, a request that is sent again after a cut is not run twice.
inline std::string draw_key() {
  std::random_device random;
  std::string key;
  for (int i = 0; i < 32; ++i) key += "0123456789abcdef"[random() % 16];
  return key;
}

}  // namespace aorta::client::detail
