// A request that its client carries on: from an admission that does not answer to this one, from
// this one to another, and back. Of several that have it, the last one that was asked runs it.
#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

using std::chrono::milliseconds;

namespace {

// Nothing more will be generated here.
bool is_whole(const Request& choice) {
  return choice.phase() == Phase::ended && !choice.dormant();
}

}  // namespace

// An admission has had it since, that this one does not know of.
bool Admission::was_elsewhere(const Request& first, std::uint32_t life) const {
  if (!first.accepted() || life >= most_lives) return false;
  const auto choices = table_.choices_of(first);
  return std::any_of(choices.begin(), choices.end(), [&](const Request* choice) {
    return !is_whole(*choice) && life_of(choice->epoch) < life;
  });
}

// The record says so first: else our next life would use epochs that are used up.
void Admission::bring_home(ConnectionId connection, ResumeRequest ask, const Request& first,
                           TimePoint now, mesh::Outbox& out) {
  const std::uint32_t life = taken_over(ask.life);
  Return back{connection, std::move(ask), life, now + milliseconds(options_.journal_wait_ms)};
  if (draining_) return reject_verdict(connection, first.id, draining_verdict());
  if (!first.journaled) return come_home(std::move(back), {}, now, out);
  if (journal_is_stuck()) return reject_verdict(connection, first.id, journal_verdict(slow_journal));
  JournalRecord record = journal_record(first);
  record.life = life;
  ask_journal(std::move(record), now, std::move(back));
}

// What has become of the request meanwhile counts.
void Admission::come_home(Return back, const Result<void>& written, TimePoint now,
                          mesh::Outbox& out) {
  if (!written) {
    return reject_verdict(back.connection, back.resume.request,
                          journal_verdict(reason_of(written.error())));
  }
  const Request* first = find_for(back.resume.tenant, back.resume.request);
  if (first != nullptr && was_elsewhere(*first, back.life)) take_over(*first, back.life, now, out);
  read_on(back.connection, std::move(back.resume), now, out);
}

// The other admission's epochs end here.
void Admission::take_over(const Request& first, std::uint32_t life, TimePoint now,
                          mesh::Outbox& out) {
  for (Request* choice : table_.choices_of(first)) {
    choice->begun_anew = true;
    if (is_whole(*choice)) continue;
    const Phase phase = choice->phase();
    const bool runs = phase == Phase::queued || phase == Phase::placed;
    leave_executor(*choice, out);
    choice->epoch = runs ? first_epoch(life) : before_first_epoch(life);
    if (!runs) continue;
    begin_epoch(*choice);
    submit(*choice, now, out);
  }
}

void Admission::give_up_returns(TimePoint now) {
  if (returning_ == 0) return;
  unwant([&](const Asked& asked) {
    if (!asked.back || (!draining_ && now < asked.back->until)) return false;
    reject_verdict(asked.back->connection, asked.request,
                   draining_ ? draining_verdict() : journal_verdict(slow_journal));
    return true;
  });
}

// Another admission runs it now, and its client is there: nothing of it is left here. An answer
// that is whole is kept as any other is.
void Admission::hand_over(const Request& request, TimePoint now, mesh::Outbox& out) {
  const auto choices = table_.choices_of(request);
  const auto stays = [](const Request* choice) {
    return !choice->accepted() || choice->phase() == Phase::ended;
  };
  if (std::all_of(choices.begin(), choices.end(), stays)) return;
  const Outcome moved{.status = 409,
                      .code = carried_on,
                      .message = "Another admission carries this request on, as its client has "
                                 "asked: its stream goes on there."};
  for (Request* choice : choices) {
    if (choice->phase() != Phase::ended) end(*choice, moved, now, out);
  }
  forget(*choices.front(), moved);
}

}  // namespace aorta::admission
