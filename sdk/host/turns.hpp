// How long a thread's turn on a core is, where others want the core, too.
#pragma once

#include <chrono>

namespace leat::host {

/// Asks the kernel (Linux 6.12 and later; others know nothing of it) for turns of about `length`
/// for the calling thread, and those that it begins. It gets no more of the core; but when it wakes
/// beside a thread whose turns are longer (1.4 ms and more, unless these are asked for) it does not
/// wait until that one's is over. The kernel takes 100 us to 100 ms. Leaves threads alone that are
/// not of the usual policy, as of chrt.
void take_turns_of(std::chrono::microseconds length);

}  // namespace leat::host
