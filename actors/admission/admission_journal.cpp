// What outlives this admission: requests are written down before they are accepted, and an earlier
// life's are known again.
#include <fmt/format.h>

#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

using std::chrono::milliseconds;

// Where the file lies and what its system says is in the log, for the operator.
const char* Admission::reason_of(const Error& error) {
  return error.code == ErrorCode::resource_exhausted
             ? "the disk is full, or the journal is as large as it may be"
             : "its file cannot be written";
}

Verdict Admission::journal_verdict(const char* reason) const {
  Verdict verdict{Verdict::Kind::refuse};
  verdict.status = 503;
  verdict.code = "journal_unavailable";
  verdict.message = fmt::format(
      "The journal cannot be written, and nothing is accepted without it: {}. Try again later.",
      reason);
  verdict.retry_after_ms = options_.retry_after_least_ms;
  return verdict;
}

// What nobody waits for any more is in its queue all the same: a disk that hangs must not fill our
// memory.
bool Admission::journal_is_stuck() const { return asked_.size() >= options_.open_requests; }

const char* Admission::journal_trouble(TimePoint now) const {
  if (!journal_state_) return reason_of(journal_state_.error());
  const auto slow = milliseconds(options_.journal_wait_ms);
  return !asked_.empty() && now - asked_.front().at >= slow ? slow_journal : nullptr;
}

void Admission::ask_journal(JournalRecord record, TimePoint now, std::optional<Return> back) {
  returning_ += back.has_value();
  asked_.push_back({record.request, now, std::move(back)});
  journal_.emplace_back(JournalWrite{std::move(record)});
}

void Admission::unwant(const std::function<bool(const Asked&)>& which) {
  for (Asked& asked : asked_) {
    if (!asked.wanted || !which(asked)) continue;
    asked.wanted = false;
    returning_ -= asked.back.has_value();
  }
}

void Admission::write_down(Request& first, TimePoint now) {
  if (journal_is_stuck()) return refuse_held(first, journal_verdict(slow_journal));
  first.state = Held{now + milliseconds(options_.journal_wait_ms), now};
  first.journaled = true;
  table_.set_alarm(first, wake(first));
  ask_journal(journal_record(first), now, {});
}

void Admission::on_journal(const std::vector<RequestId>& requests, const Result<void>& written,
                           TimePoint now, mesh::Outbox& out) {
  for (const RequestId id : requests) {
    ++(written.ok() ? tally_.journal_writes : tally_.journal_failures);
    const auto it = std::find_if(asked_.begin(), asked_.end(),
                                 [&](const Asked& asked) { return asked.request == id; });
    if (it == asked_.end()) continue;
    Asked asked = std::move(*it);
    asked_.erase(it);
    if (!asked.wanted) continue;
    if (asked.back) {
      --returning_;
      come_home(std::move(*asked.back), written, now, out);
    } else {
      answer_held(*table_.find(id), written, now, out);
    }
  }
  settle(now, out);
}

void Admission::answer_held(Request& first, const Result<void>& written, TimePoint now,
                            mesh::Outbox& out) {
  const Duration took = now - std::get<Held>(first.state).journaled_at;
  tally_.journal_write.observe(std::chrono::duration<double>(took).count());
  if (!written) {
    first.journaled = false;
    refuse_held(first, journal_verdict(reason_of(written.error())));
  } else if (draining_) {
    refuse_held(first, draining_verdict());
  } else {
    promise(first, now, out);
  }
}

void Admission::note_numerics(const Request& request, const std::string& numerics_id) {
  if (numerics_id.empty() || !table_.choices_of(request).front()->journaled) return;
  journal_.emplace_back(JournalNumerics{request.public_id(), request.choice(), numerics_id});
}

void Admission::note_end(const Request& request, TimePoint now) {
  if (!table_.choices_of(request).front()->journaled) return;
  const JournalEnding ending{request.choice(), *request.ledger.outcome(), request.ledger.next(),
                             now};
  journal_.emplace_back(JournalEnd{request.public_id(), ending});
}

void Admission::erase_record(const Request& first) {
  unwant([&](const Asked& asked) { return asked.request == first.id && !asked.back; });
  if (first.journaled) journal_.emplace_back(JournalErase{first.id});
}

Recovered Admission::recover(std::vector<JournalEntry> entries, TimePoint now) {
  Recovered recovered;
  for (JournalEntry& entry : entries) {
    const JournalRecord& record = entry.record;
    const auto model = models_.find(record.model);
    const bool over =
        entry.endings.size() == record.choices &&
        std::all_of(entry.endings.begin(), entry.endings.end(), [&](const JournalEnding& ending) {
          return now - ending.at >= milliseconds(options_.retain_ms);
        });
    if (any_known(record.request, record.choices)) {  // written anew since: the record is in use
      ++recovered.over;
      continue;
    }
    const bool key_taken = table_.find_key(record.tenant, record.idempotency_key) != nullptr;
    const bool worn_out = record.life >= most_lives;
    if (model == models_.end() || over || key_taken || worn_out) {
      ++(model == models_.end() ? recovered.unservable
         : worn_out             ? recovered.worn_out
                                : recovered.over);
      journal_.emplace_back(JournalErase{record.request});
      continue;
    }
    ++recovered.known;
    bring_back(std::move(entry), model->second, now);
  }
  return recovered;
}

// Its clients are gone with the earlier life. What is to finish without them is queued: the next
// beat tells the scheduler. A deadline that has passed meanwhile is an alarm that is due.
void Admission::bring_back(JournalEntry entry, std::shared_ptr<const engine::TextModel> model,
                           TimePoint now) {
  const std::uint32_t life = entry.record.life;
  auto first = request_of(std::move(entry.record), std::move(model));
  const std::uint32_t choices = first->choices;
  first->last_token = now;
  first->next_waiting = now + milliseconds(options_.waiting_every_ms);
  TimePoint parked_until = now + milliseconds(options_.park_ms);
  const bool over = entry.endings.size() == choices;
  if (over) {
    first->deadline = now + milliseconds(options_.default_timeout_ms);
    parked_until = now;
    for (const JournalEnding& ending : entry.endings) {
      parked_until = std::max(parked_until, ending.at + milliseconds(options_.retain_ms));
    }
  }
  if (!over) unclaimed_.push_back(first->id);
  const bool runs = first->on_disconnect == OnDisconnect::finish && !over;
  for (std::uint32_t choice = choices; choice-- > 0;) {  // the first one last: it is copied
    auto one = choice == 0 ? std::move(first) : another_choice(*first, choice);
    one->state = Parked{};
    one->epoch = runs ? first_epoch(life) : before_first_epoch(life);
    one->numerics_id = entry.numerics_ids[choice];
    for (const JournalEnding& ending : entry.endings) {
      if (ending.choice == choice) one->ended_before = {ending.outcome, ending.tokens};
    }
    if (over) one->state = Ended{};
    Request& added = table_.add(std::move(one));
    shedding_.entered(added);
    if (over) {
      enter(added, Ended{parked_until});
      table_.retain(added);
      continue;
    }
    ++tally_.recovered;
    runs ? begin_epoch(added) : enter(added, Parked{parked_until});
  }
}

// Those of which nobody has asked since go before anybody new is refused for want of places.
void Admission::make_room(std::uint32_t choices, TimePoint now, mesh::Outbox& out) {
  while (!unclaimed_.empty() && shedding_.open() + choices > options_.open_requests) {
    const Request* first = table_.find(unclaimed_.front());
    unclaimed_.pop_front();
    if (first == nullptr) continue;
    for (Request* choice : table_.choices_of(*first)) {
      if (choice->phase() != Phase::parked) continue;
      end(*choice, {.finish_reason = "cancelled"}, now, out);
    }
  }
}

// Somebody asks for what had ended: it is generated again.
void Admission::revive(Request& request) {
  table_.release(request);
  ++tally_.recovered;
  enter(request, Parked{});
}

}  // namespace aorta::admission
