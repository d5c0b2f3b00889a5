#pragma once
// Every message between services: one struct each, an explicit number each (retired numbers stay
// listed), one fields() that the codec writes as a msgpack array in that order. A reader takes a
// shorter array (missing fields keep their defaults) and skips fields beyond those it knows.
// What clients exchange with admission is in mesh/client_codec.hpp.
#include <variant>

#include "mesh/messages/control.hpp"
#include "mesh/messages/heartbeats.hpp"
#include "mesh/messages/meeting.hpp"
#include "mesh/messages/placing.hpp"
#include "mesh/messages/running.hpp"
#include "mesh/messages/weights.hpp"

namespace aorta::mesh {

using Message =
    std::variant<Hello, Welcome, Superseded, Refused, Who, Membership, ServiceBeat, AdmissionBeat,
                 ExecutorBeat, SchedulerBeat, Submit, Placed, Lost, Closed, Start, Tokens, Ack,
                 Expect, Stop, Declined, PackRequest, PackReply, Report, AuditRequest, AuditReply,
                 Control, ControlReply, Desired, Drain, ChildDied, NodeReport, Goodbye>;

}  // namespace aorta::mesh
