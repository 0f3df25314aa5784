// What costs processor time and touches no state: handed out to be run elsewhere.
#pragma once

#include <cstdint>
#include <functional>

namespace leat::api {

using WorkId = std::uint64_t;

/// `run` may be called on any thread, once, or never. It reads bytes and writes a place that the
/// room keeps for it until work_done(id); so the room must outlive a run that was begun.
struct Work {
    WorkId id = 0;
    std::function<void()> run;
};

}  // namespace leat::api
