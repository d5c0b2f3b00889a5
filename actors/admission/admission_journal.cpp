// What outlives this admission: requests are written down before they are accepted, and an earlier
// life's are known again.
#include <fmt/format.h>

#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

using std::chrono::milliseconds;

Verdict Admission::journal_verdict(const std::string& reason) const {
  Verdict verdict{Verdict::Kind::refuse};
  verdict.status = 503;
  verdict.code = "journal_unavailable";
  verdict.message = fmt::format(
      "The journal cannot be written, and nothing is accepted without it: {}. Try again later.",
      reason);
  verdict.retry_after_ms = options_.retry_after_least_ms;
  return verdict;
}

void Admission::write_down(Request& first, TimePoint now) {
  first.state = Held{now + milliseconds(options_.journal_wait_ms), now};
  first.journaled = true;
  journaling_.insert(first.id);
  table_.set_alarm(first, wake(first));
  journal_.emplace_back(JournalWrite{journal_record(first)});
}

void Admission::on_journal(const std::vector<RequestId>& requests, const Result<void>& written,
                           TimePoint now, mesh::Outbox& out) {
  for (const RequestId id : requests) {
    ++(written.ok() ? tally_.journal_writes : tally_.journal_failures);
    Request* first = table_.find(id);
    if (first == nullptr || first->accepted()) continue;  // refused meanwhile, or written again
    const TimePoint asked = std::get<Held>(first->state).journaled_at;
    if (asked == never) continue;
    tally_.journal_write.observe(std::chrono::duration<double>(now - asked).count());
    if (!written.ok()) {
      first->journaled = false;
      refuse_held(*first, journal_verdict(written.error().message));
    } else if (draining_) {
      refuse_held(*first, draining_verdict());
    } else {
      journaling_.erase(id);
      promise(*first, now, out);
    }
  }
  settle(now, out);
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
  journaling_.erase(first.id);
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
    if (model == models_.end() || over || key_taken || record.life >= most_lives) {
      ++(model == models_.end() ? recovered.unservable : recovered.over);
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
    one->epoch = runs ? first_epoch(life) : Epoch{life << 16};
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
