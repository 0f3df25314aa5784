// Zeros ahead of a segment's first use. The first write into a reserved block of a file costs a
// journal commit of the file system (7.0 bytes written per byte of a synced 1 KiB commit, against
// 4.0 on a block that was written before), so a little is zeroed before small commits get there:
// the next piece of the open segment, and the front of its successor once the open one is half
// full. Large commits are cheaper on reserved blocks than on zeroed ones (1.75 against 2.0 at 16
// KiB, 1.19 at 64): from 12 KiB on nothing is zeroed. It happens once in a segment's life; nothing
// depends on it.
#pragma once

#include "broker/log/arrivals.hpp"

namespace leat::log {

class Zeroing {
public:
    Zeroing(Core& core, Arrivals& arrivals) : core_(core), arrivals_(arrivals) {}
    void pump();
    void on_done(bool good);

private:
    void start(std::uint32_t segment, std::uint32_t from, std::uint32_t to);
    Core& core_;
    Arrivals& arrivals_;
    std::uint32_t to_ = 0;  ///< of the one under way
    bool useless_ = false;  ///< the device failed at it once
};

}  // namespace leat::log
