// Lists threaded through their members, sorted by time: who is ready, who is due. Nothing scans all
// partitions, and nothing is allocated. Where there is one queue (Profile), there are no lists: it
// is ready unless it waits.
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

/// What nobody asks for.
template <class Link>
struct NoDueList {
    void insert(Link&, Instant = {}) {}
    Link* first() const { return nullptr; }
    Link* last() const { return nullptr; }
    Link* before(const Link&) const { return nullptr; }
    Instant due() const { return never; }
};

namespace one {

/// The only queue's: who asks for its list asks for it.
struct DueLink {
    /// All zero at first where everything is: the Sender unlinks it.
    Instant due = profile.memory.is_fixed() ? Instant{} : never;
    [[no_unique_address]] If<profile.several_queues, PartitionQueue*> queue{};

    bool is_linked() const { return due != never; }
    void unlink() { due = never; }
};
struct NoLink {
    [[no_unique_address]] If<profile.several_queues, PartitionQueue*> queue{};
    bool is_linked() const { return false; }
    void unlink() {}
};

}  // namespace one

using DueLink = std::conditional_t<profile.several_queues, many::DueLink, one::DueLink>;
using DueList = std::conditional_t<profile.several_queues, many::DueList, NoDueList<one::DueLink>>;
using ReadyLink = std::conditional_t<profile.several_queues, many::DueLink, one::NoLink>;
using ReadyList = std::conditional_t<profile.several_queues, many::DueList, NoDueList<one::NoLink>>;

}  // namespace leat::client
