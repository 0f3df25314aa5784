// Zeros ahead of a segment's first use. The first write into a reserved block of a file costs a
// journal commit of the file system (7.0 bytes written per byte of a synced 1 KiB commit, against
// 4.0 on a block that was written before), so a little is zeroed before small commits get there:
// the next piece of the open segment, and the front of its successor once the open one is half
// full. Large commits are cheaper on reserved blocks than on zeroed ones (1.75 against 2.0 at 16
// KiB, 1.19 at 64): from 12 KiB on nothing is zeroed. It happens once in a segment's life; nothing
// depends on it.
//
// A piece goes out in slices, so that a commit waits for no more than one. While nothing is to be
// committed they follow one another, and the file system commits its journal once for all of them;
// else each second commit is followed by one, and then the next commit pays for that.
//
// After a start the tail tells by its last page, where every life but a first one left a footer.
#pragma once

#include "broker/log/arrivals.hpp"

namespace leat::log {

/// Less than a millisecond on an eMMC that writes 20 MB/s.
constexpr std::uint32_t zeros_slice_bytes = 12 * 1024;
constexpr std::uint64_t zeros_every_commits = 2;

class Zeroing {
public:
    Zeroing(Core& core, Arrivals& arrivals)
        : core_(core), arrivals_(arrivals), page_(core.geometry.align) {}
    void pump();
    void on_done(bool good);
    bool busy() const { return asked_ != no_segment || core_.segments.zeroing != no_segment; }

private:
    void choose(std::uint32_t open);
    void ask(std::uint32_t segment);
    Core& core_;
    Arrivals& arrivals_;
    std::uint32_t segment_ = no_segment;     ///< what is zeroed: [at_, to_) of it
    std::uint32_t at_ = 0, to_ = 0, end_ = 0;  ///< end_: of the slice under way
    std::uint64_t commits_ = 0;              ///< so many were made when the last slice began
    bool useless_ = false;                   ///< the device failed at it once
    bool first_ = true;                      ///< nothing was asked or zeroed in this run
    std::uint32_t asked_ = no_segment;       ///< its last page is being read
    AlignedBytes page_;
};

}  // namespace leat::log
