#include "sdk/host/turns.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace leat::host {
namespace {

/// The kernel's sched_attr in its first layout; the C library has no name for it yet.
struct Attributes {
    std::uint32_t size = sizeof(Attributes), policy = SCHED_OTHER;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};

}  // namespace

void take_turns_of(std::chrono::microseconds length) {
    if (::sched_getscheduler(0) != SCHED_OTHER) return;
    errno = 0;
    Attributes wanted;
    wanted.nice = ::getpriority(PRIO_PROCESS, 0);  // of this thread; it stays what it is
    wanted.runtime_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(length).count());
    if (errno == 0) ::syscall(SYS_sched_setattr, 0, &wanted, 0);
}

}  // namespace leat::host
