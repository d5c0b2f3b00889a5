#include "tests/sim/client.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/delivered_hash.hpp"

namespace aorta::sim {

using Habit = ClientPlan::Habit;

const char* ClientPlan::name_of(Habit habit) {
  constexpr const char* names[] = {"reads", "cancels", "dawdles", "resumes", "vanishes", "repeats"};
  return names[static_cast<int>(habit)];
}

Client::Client(Timeline& timeline, AdmissionProcess& admission, AdmissionProcess& other,
               const Oracle& oracle, ClientPlan plan)
    : timeline_(timeline),
      admission_(&admission),
      other_(&other),
      oracle_(oracle),
      plan_(std::move(plan)) {
  for (std::uint32_t choice = 0; choice < plan_.request.choices; ++choice) {
    readings_.push_back({.expected = oracle.answer(plan_.request, choice)});
  }
}

bool Client::ended() const {
  return std::all_of(readings_.begin(), readings_.end(),
                     [](const Reading& reading) { return !reading.outcome.empty(); });
}

std::vector<std::string> Client::outcomes() const {
  std::vector<std::string> outcomes;
  for (const Reading& reading : readings_) outcomes.push_back(reading.outcome);
  return outcomes;
}

std::size_t Client::received() const {
  std::size_t tokens = 0;
  for (const Reading& reading : readings_) tokens += reading.ids.size();
  return tokens;
}

std::uint32_t Client::epochs() const {
  std::uint32_t epochs = 0;
  for (const Reading& reading : readings_) epochs += reading.epochs;
  return epochs;
}

bool Client::wants_nothing() const {
  if (plan_.habit == Habit::cancels) return shown_ && ended();
  return plan_.habit == Habit::vanishes && shown_ &&
         plan_.request.on_disconnect.value_or(admission::OnDisconnect::cancel) ==
             admission::OnDisconnect::cancel;
}

// Connects and asks; again until somebody listens.
void Client::open(AdmissionProcess::Ask ask) {
  if (!admission_->alive()) {
    return timeline_.after(Duration(100'000), [this, ask = std::move(ask)] { open(ask); });
  }
  connection_ = admission_->connect(
      {.told = [this](const auto& event) { handle(event); }, .cut = [this] { on_cut(); }});
  admission_->ask(std::move(ask));
}

void Client::begin() {
  tell(fmt::format("asks {}, {} tokens of prompt, {} at most, {} choices, {} after {}",
                   admission_->name(), readings_.front().expected.prompt_tokens,
                   *plan_.request.max_tokens, plan_.request.choices,
                   ClientPlan::name_of(plan_.habit), plan_.after_tokens));
  open([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    core.generate(connection_, plan_.request, now, out);
  });
}

// Without a journal the request went with its admission. Who has a key asks again, there or
// elsewhere; others go on where they were, if they can.
void Client::on_cut() {
  if (ended()) return;
  tell("is cut off: its admission died");
  ++cuts_;
  cut_at_ = timeline_.now();
  if (plan_.habit == Habit::repeats) {
    shown_ = true;
    if (cuts_ % 2 == 1) std::swap(admission_, other_);
    return timeline_.after(Duration(50'000), [this] { ask_again(); });
  }
  const bool goes_on = plan_.habit == Habit::resumes || plan_.when_cut != ClientPlan::Cut::gives_up;
  if (!goes_on || !was_accepted_) return end_all("cut");
  if (plan_.habit == Habit::resumes) shown_ = true;
  if (plan_.when_cut == ClientPlan::Cut::carries && cuts_ % 2 == 1) std::swap(admission_, other_);
  timeline_.after(Duration(50'000), [this] { reconnect(); });
}

// So long that its request may have been given up.
bool Client::away_for_long() const {
  const TimePoint since = std::min(left_at_, cut_at_);
  return since != never && timeline_.now() - since >= plan_.park;
}

// So long that its answer, whole since, may have been forgotten.
bool Client::slow_for_long() const {
  return dawdles_at_ != never && timeline_.now() - dawdles_at_ >= plan_.retain;
}

void Client::violate(std::string what) {
  if (!violation_.empty()) return;
  violation_ = fmt::format("{} ({} after {} tokens): {}", plan_.request.id.to_string(),
                           ClientPlan::name_of(plan_.habit), plan_.after_tokens, what);
}

Client::Reading& Client::reading_of(std::uint32_t choice) {
  if (choice < readings_.size()) return readings_[choice];
  violate(fmt::format("choice {} of {}", choice, readings_.size()));
  return readings_.front();
}

void Client::end(Reading& reading, std::string outcome) {
  // A cancel that crosses the end is answered with that end again.
  const bool answer_to_cancel =
      plan_.habit == Habit::cancels && shown_ && outcome == reading.outcome;
  if (!reading.outcome.empty() && !answer_to_cancel) {
    return violate(fmt::format("{} after {}", outcome, reading.outcome));
  }
  if (reading.outcome.empty()) tell(fmt::format("has {} tokens: {}", reading.ids.size(), outcome));
  reading.outcome = std::move(outcome);
}

void Client::end_all(const std::string& outcome) {
  for (Reading& reading : readings_) {
    if (reading.outcome.empty()) reading.outcome = outcome;
  }
}

void Client::handle(const admission::ClientEvent& event) {
  if (const auto* delta = std::get_if<admission::Delta>(&event)) return on_delta(*delta);
  if (const auto* done = std::get_if<admission::Done>(&event)) return on_done(*done);
  if (const auto* accepted = std::get_if<admission::Accepted>(&event)) {
    if (accepted->choices != readings_.size()) violate("accepted with another n");
    accepted_ = was_accepted_ = true;
    life_ = accepted->life;
    tell("is accepted");
    if (plan_.after_tokens == 0) show_habit();
  } else if (const auto* rejected = std::get_if<admission::Rejected>(&event)) {
    if (was_accepted_ && cuts_ > 0 && rejected->retry_after_ms > 0) {
      return timeline_.after(std::chrono::milliseconds(rejected->retry_after_ms),
                             [this] { reconnect(); });
    }
    if (rejected->code == "request_not_found" && cuts_ > 0) {
      const bool late = away_for_long() || slow_for_long();
      if (admission_->keeps_journal() && !late) violate("is not known any more");
      return end_all("cut");
    }
    if (accepted_) violate("rejected after it was accepted: " + rejected->code);
    for (Reading& reading : readings_) end(reading, "rejected " + rejected->code);
  } else if (const auto* failed = std::get_if<admission::Failed>(&event)) {
    end(reading_of(failed->choice), "failed " + failed->code);
  }
}

void Client::on_delta(const admission::Delta& delta) {
  Reading& reading = reading_of(delta.choice);
  if (!accepted_) violate("tokens before accepted");
  if (plan_.poisonous) violate("a token of what crashes every engine");
  if (!reading.outcome.empty()) violate("tokens after the end");
  if (delta.first.value != reading.ids.size()) {
    violate(fmt::format("index {} came after {} tokens", delta.first.value, reading.ids.size()));
  }
  reading.ids.insert(reading.ids.end(), delta.ids.begin(), delta.ids.end());
  reading.reasoning += delta.reasoning;
  reading.text += delta.text;
  if (delta.ids.empty()) {
    reading.end_reasoning += delta.reasoning.size();
    reading.end_text += delta.text.size();
  }
  compare(reading);
  compare_logprobs(reading.expected, delta);
  if (received() >= plan_.after_tokens) show_habit();
}

void Client::compare(const Reading& reading) {
  const Expected& expected = reading.expected;
  if (reading.ids.size() > expected.ids.size() ||
      !std::equal(reading.ids.begin(), reading.ids.end(), expected.ids.begin())) {
    violate(fmt::format("tokens differ from the undisturbed run's within the first {}",
                        reading.ids.size()));
  }
  if (!expected.text.starts_with(reading.text) ||
      !expected.reasoning.starts_with(reading.reasoning)) {
    violate("text differs from the undisturbed run's");
  }
}

void Client::compare_logprobs(const Expected& expected, const admission::Delta& delta) {
  if (!violation_.empty()) return;  // these are the tokens that were expected, and no more
  const std::size_t count = plan_.request.top_logprobs ? delta.ids.size() : 0;
  if (delta.logprobs.size() != count) {
    return violate(fmt::format("{} log-probabilities with {} tokens", delta.logprobs.size(),
                               delta.ids.size()));
  }
  const auto same = [&](const admission::TokenLogprob& given, TokenId id, float logprob) {
    return given.logprob == logprob && given.bytes == oracle_.model()->bytes(id);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [chosen, top] = delta.logprobs[i];
    const engine::TokenLogprobs& right = expected.logprobs[delta.first.value + i];
    if (!same(chosen, delta.ids[i], right.chosen) ||
        !std::equal(top.begin(), top.end(), right.top.begin(), right.top.end(),
                    [&](const auto& a, const auto& b) { return same(a, b.first, b.second); })) {
      return violate(fmt::format("log-probabilities of token {} differ from the undisturbed run's",
                                 delta.first.value + i));
    }
  }
}

void Client::on_done(const admission::Done& done) {
  Reading& reading = reading_of(done.choice);
  const Expected& expected = reading.expected;
  reading.epochs = done.epochs;
  if (done.finish_reason == "stop" || done.finish_reason == "length") {
    if (done.finish_reason != expected.finish_reason) {
      violate(fmt::format("ended by {}, undisturbed by {}", done.finish_reason,
                          expected.finish_reason));
    }
    if (reading.ids.size() != expected.ids.size()) {
      violate(fmt::format("ended with {} of {} tokens", reading.ids.size(), expected.ids.size()));
    }
    if (reading.text != expected.text) violate("ended with another text");
    if (reading.reasoning != expected.reasoning) violate("ended with other thoughts");
    if (done.usage.completion_tokens != expected.ids.size() ||
        done.usage.reasoning_tokens != expected.reasoning_tokens) {
      violate("usage differs");
    }
  } else if (done.finish_reason == "cancelled" && plan_.habit != Habit::cancels) {
    if (!away_for_long()) violate("cancelled, and nobody had asked for it");
  }
  end(reading, done.finish_reason);
}

void Client::show_habit() {
  if (shown_ || ended()) return;
  shown_ = true;
  if (plan_.habit != Habit::reads) {
    tell(fmt::format("{} after {} tokens", ClientPlan::name_of(plan_.habit), received()));
  }
  const std::string& tenant = plan_.request.tenant;
  switch (plan_.habit) {
    case Habit::reads:
      return;
    case Habit::cancels:
      return admission_->ask(
          [this, tenant](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
            core.cancel(connection_, tenant, plan_.request.id, now, out);
          });
    case Habit::dawdles:
      dawdles_at_ = timeline_.now();
      admission_->ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
        core.hold(connection_, true, now, out);
      });
      return timeline_.after(plan_.pause, [this] {
        admission_->ask([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
          core.hold(connection_, false, now, out);
        });
      });
    case Habit::resumes:
    case Habit::repeats:
      left_at_ = timeline_.now();
      admission_->close(connection_);
      return timeline_.after(plan_.pause, [this] { reconnect(); });
    case Habit::vanishes:
      admission_->close(connection_);
      return end_all("vanished");
  }
}

// Another request, but for its key: the stream from its beginning.
void Client::ask_again() {
  accepted_ = false;
  for (Reading& reading : readings_) reading = {.expected = std::move(reading.expected)};
  tell("asks again under its key at " + admission_->name());
  open([this](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    auto again = plan_.request;
    again.id.high ^= 1 + cuts_;
    core.generate(connection_, again, now, out);
  });
}

// Where it was. The end of a choice that had ended is told again, with what only that released.
void Client::reconnect() {
  if (plan_.habit == Habit::repeats) return ask_again();
  accepted_ = false;
  const bool carries = plan_.when_cut == ClientPlan::Cut::carries;
  admission::ResumeRequest resume{
      .tenant = plan_.request.tenant, .request = plan_.request.id, .life = life_};
  if (carries) resume.carried = plan_.request;
  for (Reading& reading : readings_) {
    reading.outcome.clear();
    if (!carries) {
      reading.reasoning.resize(reading.reasoning.size() - std::exchange(reading.end_reasoning, 0));
      reading.text.resize(reading.text.size() - std::exchange(reading.end_text, 0));
    }
    resume.cursors.push_back(
        {.next = TokenIndex{static_cast<std::uint32_t>(reading.ids.size())},
         .end_text = reading.end_reasoning + reading.end_text > 0,
         .delivered_hash = delivered_hash(reading.ids)});
  }
  tell(fmt::format("resumes at {}{}", admission_->name(), carries ? ", request in hand" : ""));
  open([this, resume](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    core.resume(connection_, resume, now, out);
  });
}

}  // namespace aorta::sim
