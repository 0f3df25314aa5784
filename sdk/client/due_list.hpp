// Lists threaded through their members, sorted by time: who is ready, who is due. Nothing scans all
// partitions, and nothing is allocated. Where there is one queue (Profile), a list is one link that
// is set or not.
#pragma once

#include "leat/time.hpp"

namespace leat::client {

class PartitionQueue;

namespace many {

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
    void insert(DueLink& link) { insert(link, Instant{}); }  ///< for a FIFO
    DueLink* first() const { return root_.after == &root_ ? nullptr : root_.after; }
    DueLink* last() const { return root_.before == &root_ ? nullptr : root_.before; }
    DueLink* before(const DueLink& link) const {
        return link.before == &root_ ? nullptr : link.before;
    }
    Instant due() const { return root_.after == &root_ ? never : root_.after->due; }
    bool is_due(Instant now) const { return root_.after != &root_ && root_.after->due <= now; }

private:
    DueLink root_;
};

}  // namespace many

namespace one {

struct DueLink {
    Instant due{};
    PartitionQueue* queue = nullptr;
    bool linked = false;

    bool is_linked() const { return linked; }
    void unlink() { linked = false; }
};

/// Every link that is inserted is the same one.
class DueList {
public:
    void insert(DueLink& link, Instant due) {
        link.due = due;
        insert(link);
    }
    void insert(DueLink& link) {
        only_ = &link;
        link.linked = true;
    }
    DueLink* first() const { return only_ != nullptr && only_->linked ? only_ : nullptr; }
    DueLink* last() const { return first(); }
    DueLink* before(const DueLink&) const { return nullptr; }
    Instant due() const { return first() != nullptr ? only_->due : never; }
    bool is_due(Instant now) const { return first() != nullptr && only_->due <= now; }

private:
    DueLink* only_ = nullptr;
};

}  // namespace one

/// What nobody asks for.
struct NoDueList {
    void insert(many::DueLink&, Instant) {}
    many::DueLink* first() const { return nullptr; }
    Instant due() const { return never; }
};

using DueLink = std::conditional_t<profile.several_queues, many::DueLink, one::DueLink>;
using DueList = std::conditional_t<profile.several_queues, many::DueList, one::DueList>;

}  // namespace leat::client
