#pragma once
// Admission with its two fronts. It leaves when its core has ended every request and the fronts
// have written what they had to say; a client that does not read holds it up for a moment only.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "actors/admission/admission_shell.hpp"
#include "actors/fronts/http_front.hpp"
#include "actors/fronts/zmq_front.hpp"
#include "services/composition.hpp"

namespace aorta::services {

struct FrontOptions {
  fronts::HttpOptions http;
  fronts::ZmqOptions zmq;
  std::shared_ptr<const mesh::ApiKeys> keys;      // who may ask
  std::shared_ptr<const fronts::TlsContext> tls;  // null: plain HTTP
  std::chrono::milliseconds farewell{};           // how long clients may take at the end
};

struct Composition::AdmissionService {
 public:
  // Throws std::runtime_error with a sentence when an address is wrong or taken.
  AdmissionService(actors::Host& host, std::unique_ptr<admission::Admission> core,
                   const std::vector<std::string>& binds, const FrontOptions& fronts);
  ~AdmissionService();
  void keep_journal(admission::JournalWriterOptions options, admission::OpenedJournal opened);
  void begin();
  void use_tls(std::shared_ptr<const fronts::TlsContext> tls) { http_->use_tls(std::move(tls)); }
  void when_ready(std::function<void()> ready);  // called once, when a request could be served

 private:
  class Shell;
  void empty_fronts();
  void fronts_done();

  std::unique_ptr<fronts::HttpFront> http_;
  std::unique_ptr<fronts::ZmqFront> zmq_;
  struct Patience;  // with clients that do not read, at the end
  std::unique_ptr<Patience> patience_;
  int fronts_open_ = 2;
  std::unique_ptr<Shell> shell_;  // last: gone before the fronts
};

}  // namespace aorta::services
