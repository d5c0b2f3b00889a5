#pragma once
// What is asked and what comes of it. A Call knows what to send at first, and what to send when the
// connection had to be made anew; replies wait in it until they are taken. No input or output
// happens here.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aorta/client/reply.hpp"
#include "aorta/client/types.hpp"

namespace aorta::client::detail {

struct Outgoing {
  std::string verb;
  PackedMap body;
};

// FNV-1a over the four bytes of each id: what of an answer was delivered, in eight bytes.
inline std::uint64_t delivered_hash(const std::vector<std::uint32_t>& ids, std::uint64_t before) {
  for (const std::uint32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      before = (before ^ (id >> shift & 0xff)) * 0x100000001b3;
    }
  }
  return before;
}

// How much of a choice has arrived, whether its reader has taken it or not.
struct Arrived {
  explicit Arrived(std::uint32_t index) : next_index(index) {
    if (index == 0) hash = 0xcbf29ce484222325;
  }
  // False when it has this already: whoever resumes is told the end's text, which has no ids, again.
  bool take(const Piece& piece) {
    if (piece.ids.empty() && end_text) return false;
    end_text = piece.ids.empty();
    next_index = piece.index + static_cast<std::uint32_t>(piece.ids.size());
    if (hash) hash = delivered_hash(piece.ids, *hash);
    return true;
  }
  std::uint32_t next_index;
  std::optional<std::uint64_t> hash;  // of the ids before that, where all of them are known
  bool end_text = false;
  bool ended = false;
};

// An exchange: one message asks, one reply answers.
class Call {
 public:
  Call(std::string verb, PackedMap body) : first_{std::move(verb), std::move(body)} {}
  virtual ~Call() = default;

  // What to send on a new connection, behind what has arrived on the old one.
  virtual std::vector<Outgoing> opening() { return {first_}; }
  // Keeps a reply until it is taken; whether it is the last.
  virtual bool arrive(Reply reply) {
    replies_.push_back(std::move(reply));
    return true;
  }
  bool waits() const { return replies_.empty(); }
  Reply take() {
    Reply reply = std::move(replies_.front());
    replies_.pop_front();
    if (reply.verb == "lost") throw lost(reply.get<std::string>("why"));
    if (reply.verb == "error") throw Error("protocol", reply.get<std::string>("message"), 400);
    if (reply.verb == "rejected") refused(reply);
    return reply;
  }

  std::string id;
  int retries_left = 0;
  // A server has no room for it just now: when to ask again.
  std::optional<std::chrono::steady_clock::time_point> again_at;

 protected:
  virtual ConnectionLost lost(const std::string& why) const { return ConnectionLost(why); }
  [[noreturn]] virtual void refused(const Reply& reply) const { throw rejection(reply); }
  std::deque<Reply> replies_;
  Outgoing first_;
};

// A `generate` or a `resume`. Its first message is sent again while nothing has come: its key finds
// the request if it had been accepted. After the first token a `resume` goes on behind the last; it
// carries the request along, so that any server can generate the answer again, whoever has died.
class Answer final : public Call {
 public:
  Answer(std::string verb, PackedMap body, bool says_on_disconnect)
      : Call(std::move(verb), std::move(body)), kept_(says_on_disconnect) {
    add_choice(0);
    arrived_.emplace_back(0);
  }
  Answer(const std::string& its_request, const std::vector<std::uint32_t>& next_index)
      : Call("resume", place(its_request, next_index)), request(its_request) {
    for (const std::uint32_t index : next_index) {
      add_choice(index);
      arrived_.emplace_back(index);
    }
  }

  std::vector<Outgoing> opening() override {
    again_at.reset();
    resuming_ = std::any_of(arrived_.begin(), arrived_.end(),
                            [](const Arrived& one) { return one.next_index > 0; });
    std::vector<Outgoing> messages = {first_};
    if (resuming_) messages[0] = {"resume", where()};
    if (cancelled) messages.push_back({"cancel", place(request, {})});
    return messages;
  }

  bool arrive(Reply reply) override {
    if (will_be_asked_again(reply)) return false;
    const std::string verb = reply.verb;
    if (verb == "accepted") {
      request = reply.get<std::string>("request");
      told_seed_ = reply.get<std::uint64_t>("seed");
      life_ = reply.get<std::uint32_t>("life");
      while (arrived_.size() < reply.get<std::uint32_t>("choices", 1)) arrived_.emplace_back(0);
    }
    Arrived* choice = arrival_of(reply);
    if (verb == "tokens" && choice != nullptr && !choice->take(reply.as<Piece>())) return false;
    if ((verb == "done" || verb == "failed") && choice != nullptr) {
      if (std::exchange(choice->ended, true)) return false;  // known before the cut
    }
    replies_.push_back(std::move(reply));
    const bool all_ended = std::all_of(arrived_.begin(), arrived_.end(),
                                       [](const Arrived& one) { return one.ended; });
    return all_ended || verb == "rejected" || verb == "error";
  }

  // Applies a reply; the piece that it brought, if it did. Throws what ends the answer.
  std::optional<Piece> apply(const Reply& reply) {
    if (reply.verb == "accepted") accept(reply);
    if (reply.verb == "tokens") return add(reply);
    if (reply.verb == "done" || reply.verb == "failed") end(reply);
    return std::nullopt;
  }

  // Its request says nothing else, but the key that finds it again would have the server park it.
  bool cancels_when_left() const { return !kept_ && !request.empty(); }

  std::vector<std::uint32_t> next_index() const {
    std::vector<std::uint32_t> indices;
    for (const Choice& choice : choices) indices.push_back(choice.next_index);
    return indices;
  }

  // One index as a number, several as a list; none is left out.
  static PackedMap place(const std::string& request, const std::vector<std::uint32_t>& indices) {
    PackedMap body;
    body.set("request", request);
    if (indices.size() == 1) body.set("next_index", indices[0]);
    if (indices.size() > 1) body.set("next_index", indices);
    return body;
  }

  std::string request, model;
  std::uint64_t seed = 0;
  std::vector<Choice> choices;
  bool accepted = false, open = true, cancelled = false;
  bool abandoned = false;  // nobody waits for it any more, but its id is not known yet

 protected:
  ConnectionLost lost(const std::string& why) const override {
    ConnectionLost error(why);
    error.request = request;
    error.next_index = next_index();
    return error;
  }
  [[noreturn]] void refused(const Reply& reply) const override {
    if (!resuming_ || reply.get<std::string>("code") != "request_not_found") throw rejection(reply);
    std::size_t tokens = 0;
    for (const Choice& choice : choices) tokens += choice.ids.size();
    throw AnswerLost(request, tokens);
  }

 private:
  void add_choice(std::uint32_t index) {
    choices.emplace_back();
    choices.back().next_index = index;
  }

  // None: it will not be taken either.
  Arrived* arrival_of(const Reply& reply) {
    const auto number = reply.get<std::uint32_t>("choice");
    return number < arrived_.size() ? &arrived_[number] : nullptr;
  }

  // What was accepted is not given up because a server has no room now, or leaves.
  bool will_be_asked_again(const Reply& reply) {
    if (request.empty() || retries_left == 0) return false;
    std::uint32_t wait_ms = 0;
    if (reply.verb == "rejected") wait_ms = reply.get<std::uint32_t>("retry_after_ms");
    if (reply.verb == "failed" && reply.get<std::string>("code") == "shutting_down") wait_ms = 200;
    if (wait_ms == 0) return false;
    --retries_left;
    again_at = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
    return true;
  }

  PackedMap where() const {
    std::vector<std::uint32_t> indices;
    std::vector<std::string> hashes;
    for (const Arrived& one : arrived_) {
      indices.push_back(one.next_index);
      if (one.hash) hashes.push_back(hash_text(*one.hash));
    }
    PackedMap body = place(request, indices);
    body.set("life", life_);
    if (hashes.size() == 1 && indices.size() == 1) body.set("delivered_hash", hashes[0]);
    if (hashes.size() > 1 && hashes.size() == indices.size()) body.set("delivered_hash", hashes);
    if (first_.verb == "generate") {
      body.set_packed("generate", first_.body.pack());
      body.set("seed", told_seed_);
    }
    return body;
  }

  static std::string hash_text(std::uint64_t hash) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
    return text.data();
  }

  Choice& choice_of(const Reply& reply) {
    const auto number = reply.get<std::uint32_t>("choice");
    if (number >= choices.size()) {
      throw Error("protocol", "choice " + std::to_string(number) + " came, which nobody announced");
    }
    return choices[number];
  }

  void accept(const Reply& reply) {
    accepted = true;
    model = reply.get<std::string>("model");
    seed = reply.get<std::uint64_t>("seed");
    while (choices.size() < reply.get<std::uint32_t>("choices", 1)) add_choice(0);
  }

  Piece add(const Reply& reply) {
    auto piece = reply.as<Piece>();
    Choice& choice = choice_of(reply);
    if (piece.index != choice.next_index) {
      throw Error("protocol", "token " + std::to_string(piece.index) + " came, not " +
                                  std::to_string(choice.next_index));
    }
    choice.ids.insert(choice.ids.end(), piece.ids.begin(), piece.ids.end());
    choice.next_index += static_cast<std::uint32_t>(piece.ids.size());
    choice.text += piece.text;
    choice.reasoning += piece.reasoning;
    choice.logprobs.insert(choice.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
    return piece;
  }

  // The first failure of a choice is thrown when all have come to their ends.
  void end(const Reply& reply) {
    Choice& choice = choice_of(reply);
    if (reply.verb == "done") {
      choice.result = reply.as<Result>();
    } else {
      choice.failure.emplace(reply.get<std::string>("code"), reply.get<std::string>("message"),
                             reply.get<int>("status", 500));
    }
    for (const Choice& one : choices) {
      if (!one.ended()) return;
    }
    open = false;
    for (const Choice& one : choices) {
      if (one.failure) throw *one.failure;
    }
  }

  std::vector<Arrived> arrived_;  // of each choice
  std::uint64_t told_seed_ = 0;   // by the latest that has accepted it
  std::uint32_t life_ = 0;        // likewise
  bool resuming_ = false;
  bool kept_ = false;  // when its client leaves, as its request says
};

}  // namespace aorta::client::detail
