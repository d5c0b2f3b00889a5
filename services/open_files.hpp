#pragma once
// Every connection is a file descriptor.
#include <cstdint>

namespace aorta::services {

// Lets this process open as many files as its user may, and returns how many of `wanted`
// connections that is enough for; says so in the log when it is fewer. Beyond the limit a client
// would not even be refused: it would wait to be accepted.
std::uint32_t allow_connections(std::uint32_t wanted);

}  // namespace aorta::services
