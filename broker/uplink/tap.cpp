#include "broker/uplink/tap.hpp"

#include <utility>

namespace leat::uplink {

std::uint64_t Tap::add_pending(log::Offset next, std::uint32_t parts, std::size_t bytes) {
    read_from_ = next;
    pending_.push_back({.next = next, .parts_left = parts, .bytes = bytes});
    outstanding_bytes_ += bytes;
    return first_pending_ + pending_.size() - 1;
}

void Tap::add_parts(std::uint64_t pending, std::uint32_t more) {
    if (pending < first_pending_ || pending - first_pending_ >= pending_.size()) return;
    pending_[pending - first_pending_].parts_left += more;
}

bool Tap::part_done(std::uint64_t pending) {
    // Names from before a rewind are below; their batches are read and sent again.
    if (pending < first_pending_ || pending - first_pending_ >= pending_.size()) return false;
    Pending& batch = pending_[pending - first_pending_];
    if (batch.parts_left > 0) --batch.parts_left;
    const log::Offset before = cursor_;
    move_cursor();
    return cursor_ != before;
}

void Tap::part_waits(std::uint64_t pending) {
    if (pending < first_pending_ || pending - first_pending_ >= pending_.size()) return;
    outstanding_bytes_ -= std::exchange(pending_[pending - first_pending_].bytes, 0);
}

void Tap::move_cursor() {
    while (!pending_.empty() && pending_.front().parts_left == 0) {
        cursor_ = pending_.front().next;
        outstanding_bytes_ -= pending_.front().bytes;
        pending_.pop_front();
        ++first_pending_;
    }
    while (!marks_.empty() && marks_.front().below <= cursor_) marks_.pop_front();
}

void Tap::rewind() {
    first_pending_ += pending_.size();
    pending_.clear();
    outstanding_bytes_ = 0;
    read_from_ = cursor_;
    if (reading_into) discard_read = true;
}

void Tap::jump(log::Offset offset) {
    rewind();
    cursor_ = read_from_ = offset;
    move_cursor();
}

void Tap::mark(Instant now, log::Offset high_watermark) {
    if (high_watermark <= cursor_) return;
    if (marks_.empty()) mark_gap_ = mark_gap_min;
    add_mark({.below = high_watermark, .when = now});
    if (marks_.size() <= marks_max) return;
    // Coarser, over the whole backlog: twice the time between two marks.
    mark_gap_ *= 2;
    const std::deque<Mark> finer = std::exchange(marks_, {});
    for (const Mark& mark : finer) add_mark(mark);
}

/// Within the gap it is told as old as the mark before: an age is never too young.
void Tap::add_mark(const Mark& mark) {
    if (marks_.empty() || mark.when - marks_.back().when >= mark_gap_)
        marks_.push_back(mark);
    else
        marks_.back().below = mark.below;
}

milliseconds Tap::age(Instant now) const {
    return marks_.empty() ? milliseconds{0} : now - marks_.front().when;
}

}  // namespace leat::uplink
