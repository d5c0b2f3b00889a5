#pragma once
// An admission that keeps a journal, which answers when the test says so and outlives it.
#include "base/delivered_hash.hpp"
#include "tests/actors/admission/harness.hpp"
#include "tests/actors/admission/memory_journal.hpp"

namespace aorta::admission {

inline const mesh::PeerId e1 = executor(1), e2 = executor(2);
inline const Error full{ErrorCode::resource_exhausted, "/var/journal: the disk is full"};

inline Epoch reborn(std::uint32_t life, std::uint32_t epoch = 1) { return Epoch{life << 16 | epoch}; }
inline mesh::RequestKey key_of(Epoch epoch) { return {request_id(1), epoch}; }

class Life : public Harness {
 public:
  explicit Life(MemoryJournal& journal, AdmissionOptions options = {}, bool recovered = true)
      : Harness(with_journal(options)), journal_(journal) {
    if (recovered) outcome = core.recover(journal_.read(), now);
    advance(0);
  }

  Recovered outcome;

  // Carries out what was asked of the journal; returns what it has to answer.
  std::vector<RequestId> keep() {
    std::vector<RequestId> written;
    for (const JournalCommand& command : core.take_journal_commands()) {
      journal_.apply(command);
      if (const auto* write = std::get_if<JournalWrite>(&command)) {
        written.push_back(write->record.request);
      }
    }
    return written;
  }
  void write() { core.on_journal(keep(), {}, now, out); }
  // The journal does nothing of what was asked, and says so.
  void fail() {
    std::vector<RequestId> failed;
    for (const JournalCommand& command : core.take_journal_commands()) {
      if (const auto* write = std::get_if<JournalWrite>(&command)) {
        failed.push_back(write->record.request);
      }
    }
    core.on_journal(failed, full, now, out);
  }
  void hello(GenerateRequest ask) {
    join(e1);
    generate(1, std::move(ask));
    write();
    place(1, e1);
    tokens(e1, key(1), 0, "hello");
    keep();
  }
  // A request for two choices is accepted, and both are placed.
  void begin_two(GenerateRequest ask) {
    ask.choices = 2;
    join(e1);
    generate(1, std::move(ask));
    write();
    place(1, e1);
    place(2, e1);
  }
  // The first epoch of its next life brings this, from the beginning.
  void generates_again(std::string_view text, mesh::Finish finish = mesh::Finish::none) {
    const mesh::RequestKey again = key_of(reborn(1));
    from_scheduler(mesh::Placed{again, e1});
    tokens(e1, again, 0, text, finish);
  }
  void resume_at(std::uint64_t to, std::uint32_t next, std::string_view delivered) {
    const auto ids = ids_of(delivered);
    core.resume(connection(to),
                {.tenant = "default",
                 .request = request_id(1),
                 .cursors = {{TokenIndex{next}, false, delivered_hash(ids)}}},
                now, out);
  }

 private:
  static AdmissionOptions with_journal(AdmissionOptions options) {
    options.journal = true;
    return options;
  }
  MemoryJournal& journal_;
};

}  // namespace aorta::admission
