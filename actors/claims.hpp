#pragma once
// What the services of a mesh say they hold, put side by side: the invariants that `aorta audit`
// checks on a live mesh and the simulator at every beat. Answers come from different moments, and
// messages are under way: a problem counts when it stays.
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::actors {

struct Claims {
  struct Admission {
    std::string name;
    std::uint64_t accepted = 0, ended = 0, open = 0;  // accepted: or known again from its journal
  };
  struct Open {  // a request that has not ended
    mesh::RequestKey key;
    std::string admission;
    std::string executor;  // where it is placed; empty: nowhere
    Duration waited{};     // since it came
    bool parked = false;   // nobody waits for it: the scheduler is not to know it
  };
  struct Executor {
    std::string name;
    std::uint32_t slots_used = 0, engine_slots_used = 0, blocks_used = 0;
  };
  struct Run {  // on an executor
    mesh::RequestKey key;
    std::string executor;
    bool finished = false;  // its tail awaits an ack
  };
  struct Reservation {  // the scheduler's view of a request
    mesh::RequestKey key;
    std::string executor;  // whose slot it takes; empty: it waits
    Duration waited{};
  };
  struct Booked {  // the scheduler's count of an executor's slots that are not free
    std::string executor;
    std::uint32_t slots = 0;
  };
  std::vector<Admission> admissions;
  std::vector<Open> open;
  std::vector<Executor> executors;
  std::vector<Run> runs;
  std::vector<Reservation> reservations;
  std::vector<Booked> booked;
  bool scheduler = false;  // has answered: its reservations are all here
};

struct Problem {
  std::string about;  // whom and what: the same as long as the problem stays
  std::string sentence;
};

//   accepted = ended + open                     at each admission
//   an open request is open at one admission    and runs where that says, in that epoch, if anywhere;
//                                               one may be parked where its client was before
//   what is placed runs, what runs is placed    and the scheduler keeps a slot for it, and no other
//   an engine holds what its executor runs      and no KV block for nobody
//   an executor that has nothing to do is free  in the scheduler's books, too
//   a request waits since it came               wherever it was in between: within `place_slack`
std::vector<Problem> find_problems(const Claims& claims, Duration place_slack);

}  // namespace aorta::actors
