#include "tests/sim/client.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::sim {

using Habit = ClientPlan::Habit;

Client::Client(Timeline& timeline, AdmissionProcess& admission, const Oracle& oracle,
               ClientPlan plan)
    : timeline_(timeline),
      admission_(admission),
      plan_(std::move(plan)),
      expected_(oracle.answer(plan_.request)) {}

void Client::begin() {
  connection_ = admission_.connect([this](const auto& event) { handle(event); });
  admission_.ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    core.generate(connection_, plan_.request, now, out);
  });
}

void Client::violate(std::string what) {
  if (!violation_.empty()) return;
  constexpr const char* names[] = {"reads", "cancels", "dawdles", "resumes", "vanishes", "repeats"};
  violation_ = fmt::format("{} ({} after {} tokens): {}", plan_.request.id.to_string(),
                           names[static_cast<int>(plan_.habit)], plan_.after_tokens, what);
}

void Client::end(std::string outcome) {
  // A cancel that crosses the end is answered with that end again.
  const bool answer_to_cancel = plan_.habit == Habit::cancels && shown_ && outcome == outcome_;
  if (ended() && !answer_to_cancel) return violate(fmt::format("{} after {}", outcome, outcome_));
  outcome_ = std::move(outcome);
}

void Client::handle(const admission::ClientEvent& event) {
  if (const auto* delta = std::get_if<admission::Delta>(&event)) return on_delta(*delta);
  if (const auto* done = std::get_if<admission::Done>(&event)) return on_done(*done);
  if (std::holds_alternative<admission::Accepted>(event)) {
    accepted_ = true;
    if (plan_.after_tokens == 0) show_habit();
  } else if (const auto* rejected = std::get_if<admission::Rejected>(&event)) {
    if (accepted_) violate("rejected after it was accepted: " + rejected->code);
    end("rejected " + rejected->code);
  } else if (const auto* failed = std::get_if<admission::Failed>(&event)) {
    end("failed " + failed->code);
  }
}

void Client::on_delta(const admission::Delta& delta) {
  if (!accepted_) violate("tokens before accepted");
  if (ended()) violate("tokens after the end");
  if (delta.first.value != ids_.size()) {
    violate(fmt::format("index {} came after {} tokens", delta.first.value, ids_.size()));
  }
  ids_.insert(ids_.end(), delta.ids.begin(), delta.ids.end());
  text_ += delta.text;
  if (ids_.size() > expected_.ids.size() ||
      !std::equal(ids_.begin(), ids_.end(), expected_.ids.begin())) {
    violate(
        fmt::format("tokens differ from the undisturbed run's within the first {}", ids_.size()));
  }
  if (!expected_.text.starts_with(text_)) violate("text differs from the undisturbed run's");
  if (ids_.size() >= plan_.after_tokens) show_habit();
}

void Client::on_done(const admission::Done& done) {
  epochs_ = done.epochs;
  if (done.finish_reason == "stop" || done.finish_reason == "length") {
    if (done.finish_reason != expected_.finish_reason) {
      violate(fmt::format("ended by {}, undisturbed by {}", done.finish_reason,
                          expected_.finish_reason));
    }
    if (ids_ != expected_.ids) {
      violate(fmt::format("ended with {} of {} tokens", ids_.size(), expected_.ids.size()));
    }
    if (text_ != expected_.text) violate("ended with another text");
    if (done.usage.completion_tokens != expected_.ids.size()) violate("usage differs");
  } else if (done.finish_reason == "cancelled" && plan_.habit != Habit::cancels) {
    violate("cancelled, and nobody had asked for it");
  }
  end(done.finish_reason);
}

void Client::show_habit() {
  if (shown_ || ended()) return;
  shown_ = true;
  const std::string& tenant = plan_.request.tenant;
  switch (plan_.habit) {
    case Habit::reads:
      return;
    case Habit::cancels:
      return admission_.ask(
          [this, tenant](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
            core.cancel(connection_, tenant, plan_.request.id, now, out);
          });
    case Habit::dawdles:
      admission_.ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
        core.hold(connection_, true, now, out);
      });
      return timeline_.after(plan_.pause, [this] {
        admission_.ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
          core.hold(connection_, false, now, out);
        });
      });
    case Habit::resumes:
    case Habit::repeats:
      admission_.close(connection_);
      return timeline_.after(plan_.pause, [this] { reconnect(); });
    case Habit::vanishes:
      admission_.close(connection_);
      return end("vanished");
  }
}

// Resumes where it was, or asks again under its idempotency key and gets the stream from the start.
void Client::reconnect() {
  connection_ = admission_.connect([this](const auto& event) { handle(event); });
  accepted_ = false;
  if (plan_.habit == Habit::repeats) {
    ids_.clear();
    text_.clear();
    admission_.ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
      auto again = plan_.request;
      again.id.high ^= 1;  // a retry is another request, but for its key
      core.generate(connection_, again, now, out);
    });
  } else {
    admission_.ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
      core.resume(connection_, plan_.request.tenant, plan_.request.id,
                  TokenIndex{static_cast<std::uint32_t>(ids_.size())}, now, out);
    });
  }
}

}  // namespace aorta::sim
