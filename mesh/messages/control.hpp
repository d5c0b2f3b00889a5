#pragma once
// Figures and control: everyone ↔ monitor, tools → monitor, node agents ↔ monitor.
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "mesh/messages/names.hpp"

namespace aorta::mesh {

enum class FigureKind : std::uint8_t { counter, gauge };
struct Figure {
  std::string name;    // aorta_requests_accepted_total …
  std::string labels;  // a="b",c="d" in Prometheus' text form, or empty
  double value = 0;
  FigureKind kind = FigureKind::gauge;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.name, s.labels, s.value, s.kind);
  }
};
// Any service → monitor, each second.
struct Report {
  static constexpr std::uint16_t number = 50;
  ServiceState state{};
  std::vector<Figure> figures;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.figures);
  }
};
// Monitor → any service, and the answer: JSON text of its part of the audit.
struct AuditRequest {
  static constexpr std::uint16_t number = 51;
  std::uint64_t token = 0;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token);
  }
};
struct AuditReply {
  static constexpr std::uint16_t number = 52;
  std::uint64_t token = 0;
  std::string json;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.json);
  }
};
// Tool → monitor: ps · scale N · drain NAME · audit · health NAME. Monitor → tool: the
// answer.
struct Control {
  static constexpr std::uint16_t number = 53;
  std::uint64_t token = 0;
  std::string verb;
  std::string argument;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.verb, s.argument);
  }
};
struct ControlReply {
  static constexpr std::uint16_t number = 54;
  std::uint64_t token = 0;
  std::int32_t exit_code = 0;
  std::string text;  // JSON for ps and audit, a sentence otherwise
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.exit_code, s.text);
  }
};
// Monitor → node agents (and scheduler, which counts those still to come): how many executors
// should exist; `draining` are to be drained now and count no more.
struct Desired {
  static constexpr std::uint16_t number = 55;
  std::uint32_t executors = 0;
  std::vector<std::string> draining;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.executors, s.draining);
  }
};
struct Drain {  // monitor → service: finish or hand over, then leave with exit code 0
  static constexpr std::uint16_t number = 56;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};
// Node agent → scheduler and monitor: a child died, at once.
struct ChildDied {
  static constexpr std::uint16_t number = 57;
  PeerId child;                // incarnation 0: it never said hello
  std::int32_t exit_code = 0;  // −signal when killed
  std::string cause;           // "SIGKILL", "exit code 70", …
  bool counted_crash = false;  // DESIGN: SEGV, ABRT, BUS, ILL, FPE, engine exit codes
  bool restarting = false;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.child, s.exit_code, s.cause, s.counted_crash, s.restarting);
  }
};
// Node agent → monitor and scheduler, on change and each second: what it runs.
struct NodeReport {
  static constexpr std::uint16_t number = 58;
  struct Child {
    std::string name;
    ServiceKind kind{};
    std::uint32_t pid = 0;
    ServiceState state{};
    template <class Self>
    static auto fields(Self& s) {
      return std::tie(s.name, s.kind, s.pid, s.state);
    }
  };
  std::uint32_t desired_executors = 0;
  std::vector<Child> children;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.desired_executors, s.children);
  }
};
// A member says that it leaves on purpose: nothing it held is lost by crash.
struct Goodbye {
  static constexpr std::uint16_t number = 59;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};

}  // namespace aorta::mesh
