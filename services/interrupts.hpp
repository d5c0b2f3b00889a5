#pragma once
// Ctrl-C, for commands that go on after it.
#include <sys/types.h>

#include <cstddef>

namespace aorta::services {

// From now on Ctrl-C is noted, and wakes what waits for the mesh (client::Interrupted).
void catch_interrupts();
// Whether it was pressed since this was last called.
bool take_interrupt();
// read() that fails with EINTR when it is pressed, were it just before.
ssize_t interruptible_read(int descriptor, void* to, std::size_t size);

}  // namespace aorta::services
