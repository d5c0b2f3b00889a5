#include "actors/admission/journal.hpp"

namespace aorta::admission {

JournalRecord journal_record(const Request& first) {
  const Ledger::Terms& terms = first.ledger.terms();
  return {.request = first.id,
          .choices = first.choices,
          .life = life_of(first.epoch),
          .chat = first.chat,
          .tenant = first.tenant,
          .model = first.model,
          .idempotency_key = first.idempotency_key,
          .body_digest = first.body_digest,
          .tier = first.tier,
          .determinism = first.determinism,
          .on_disconnect = first.on_disconnect,
          .sampling = first.sampling,
          .top_logprobs = first.top_logprobs,
          .min_tokens = first.min_tokens,
          .max_tokens = terms.max_tokens,
          .stop_ids = first.stop_ids,
          .stop_strings = terms.stop_strings,
          .reasoning = terms.reasoning,
          .prompt = terms.prompt,
          .arrived = first.arrived,
          .deadline = first.deadline};
}

std::unique_ptr<Request> request_of(JournalRecord record,
                                    std::shared_ptr<const engine::TextModel> model) {
  return std::make_unique<Request>(
      Request{.id = record.request,
              .choices = record.choices,
              .chat = record.chat,
              .tenant = std::move(record.tenant),
              .model = std::move(record.model),
              .idempotency_key = std::move(record.idempotency_key),
              .body_digest = std::move(record.body_digest),
              .tier = record.tier,
              .determinism = record.determinism,
              .on_disconnect = record.on_disconnect,
              .sampling = std::move(record.sampling),
              .top_logprobs = record.top_logprobs,
              .min_tokens = record.min_tokens,
              .stop_ids = std::move(record.stop_ids),
              .ledger = Ledger({.prompt = std::move(record.prompt),
                                .max_tokens = record.max_tokens,
                                .model = std::move(model),
                                .stop_strings = std::move(record.stop_strings),
                                .reasoning = record.reasoning,
                                .logprobs = record.top_logprobs.has_value()}),
              .arrived = record.arrived,
              .deadline = record.deadline,
              .begun_anew = true,
              .journaled = true});
}

}  // namespace aorta::admission
