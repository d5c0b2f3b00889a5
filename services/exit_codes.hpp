#pragma once
// What `aorta` exits with; docs/operations.md lists them.

namespace aorta::services {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_not_possible = 3;  // not here: the sentence says what to run or change
inline constexpr int exit_try_again = 75;
inline constexpr int exit_bad_configuration = 78;
inline constexpr int exit_interrupted = 130;

}  // namespace aorta::services
