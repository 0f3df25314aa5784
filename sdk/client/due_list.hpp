// Lists threaded through their members, sorted by time: who is ready, who is due. Nothing scans all
// partitions, and nothing is allocated.
#pragma once

#include "leat/time.hpp"

namespace leat::client {

class PartitionQueue;

struct DueLink {
    DueLink* before = nullptr;
    DueLink* after = nullptr;  ///< null: in no list
    Instant due{};
    PartitionQueue* queue = nullptr;

    bool is_linked() const { return after != nullptr; }
    void unlink();
};

/// Earliest first; equal times in order of insertion, so a list whose times are all equal is a
/// FIFO.
class DueList {
public:
    DueList() { root_.before = root_.after = &root_; }
    DueList(const DueList&) = delete;
    DueList& operator=(const DueList&) = delete;

    /// Moves `link` here from wherever it is. Searches from the back: O(1) for "now + constant".
    void insert(DueLink& link, Instant due);
    DueLink* first() const { return root_.after == &root_ ? nullptr : root_.after; }
    DueLink* last() const { return root_.before == &root_ ? nullptr : root_.before; }
    DueLink* before(const DueLink& link) const {
        return link.before == &root_ ? nullptr : link.before;
    }
    Instant due() const { return root_.after == &root_ ? never : root_.after->due; }

private:
    DueLink root_;
};

}  // namespace leat::client
