// Segments: the pool that is recycled in place (FORMAT.md section 3), and what RAM knows of each.
#pragma once

#include <array>
#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "broker/log/superblock.hpp"

namespace leat::log {

enum class Area : std::uint8_t { none = 0, arrivals = 1, survivors = 2 };
enum class SegmentClass : std::uint8_t { mixed = 0, facts = 1, compacted = 2, reserved = 3 };
constexpr std::uint32_t segment_header_bytes = 512;
constexpr std::uint32_t candidates_max = 8;     ///< in a header or footer
constexpr std::uint32_t candidates_wanted = 4;  ///< how many the writer keeps promised to the ring
constexpr std::uint8_t failures_max = 3;  ///< so many failed openings in a row and it is left alone

struct SegmentHeader {
    LogId log_id{};
    std::uint32_t segment = 0;
    Area area = Area::arrivals;
    SegmentClass kind = SegmentClass::mixed;
    std::uint64_t generation = 0;
    std::uint64_t place = 0;  ///< 1, 2, 3 ... in its area
    std::uint64_t first_sequence = 0;
    std::uint32_t salt = 0;
    std::uint32_t page_bytes = 0;
    std::uint32_t predecessor = no_segment;
    std::uint32_t predecessor_end = 0;  ///< its bytes from here on are void
    std::uint64_t predecessor_generation = 0;
    std::uint64_t log_time_ms = 0, off_time_ms = 0;
    std::int64_t wall_ms = 0;
    std::uint32_t run = 0;
    std::vector<std::uint32_t> candidates;
};
void encode_segment_header(const SegmentHeader& header, MutableBytes into);  ///< into: 512 bytes
Result<SegmentHeader> decode_segment_header(ByteView bytes);  ///< fails: corrupt, unsupported

/// `replaced` is in RAM only: its records live in survivors, the checkpoint that says so is not
/// durable yet.
enum class SegmentState : std::uint8_t { free = 0, open = 1, sealed = 2, bad = 3, replaced = 4 };

/// 48 bytes per segment, the whole index of the pool in RAM.
struct SegmentEntry {
    std::uint64_t generation = 0;
    std::uint64_t place = 0;
    std::uint64_t last_age_ms = 0;  ///< age time of its newest commit
    std::uint32_t salt = 0;
    std::uint32_t data_end = 0;  ///< commits end here
    std::uint32_t footer_position =
        0;  ///< 0: none (its writes failed); the index is made by reading it
    std::uint32_t batch_bytes = 0;
    std::uint32_t live_bytes = 0;  ///< estimate: what of it the cleaner would have to copy
    Area area = Area::none;
    SegmentState state = SegmentState::free;
    bool zeroed : 1 = false;   ///< never written, but its front is zeroed ahead of its first use
    bool records : 1 = false;  ///< survivors: moved records (it stands in the ring), no checkpoint
    bool unmovable : 1 = false;  ///< the cleaner found something it would not copy
    bool doubted : 1 = false;    ///< ... or that did not hold: found again, it is left out
    bool retired : 1 = false;    ///< free, and never opened again in this run: the pool shrinks
    bool some_dead : 1 = false;  ///< records in it were seen that do not count any more
    std::uint8_t failures : 2 = 0;  ///< failed openings in a row while the device worked elsewhere
    /// So many 256ths of a segment one batch of `live_bytes` takes, on average; 0: not known. Two
    /// of more than half of a segment do not go into one, whatever their sum is.
    std::uint8_t batch_share = 0;

    void set_live(std::uint64_t bytes, std::uint64_t batches, std::uint32_t segment_bytes) {
        live_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, UINT32_MAX));
        const std::uint64_t mean = batches > 0 ? bytes / batches : 0;
        batch_share = static_cast<std::uint8_t>(
            std::min<std::uint64_t>((mean * 256 + segment_bytes - 1) / segment_bytes, 255));
    }
    bool in_ring() const {
        return (area == Area::arrivals || records) &&
               (state == SegmentState::open || state == SegmentState::sealed);
    }
};
static_assert(sizeof(SegmentEntry) <= 48);

/// The pool, and how it becomes smaller (shrink.hpp): segments from `target` on are *leaving*. Free
/// ones of them are taken last. So many segments as are *withheld* do not count as free any more;
/// for each of these a leaving one is *retired* as soon as it is free, until then a free one that
/// stays is kept for what that holds.
class SegmentTable {
public:
    void reset(std::uint32_t segments) {
        entries_.assign(segments, {});
        target_ = segments;
    }
    void grow(std::uint32_t segments) {
        if (segments <= size()) return;
        entries_.resize(segments);
        target_ = segments;
    }
    std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }
    SegmentEntry& operator[](std::uint32_t segment) { return entries_[segment]; }
    const SegmentEntry& operator[](std::uint32_t segment) const { return entries_[segment]; }

    /// Makes the free list and the order of the ring anew (recovery). `promised` are the candidates
    /// that the open segment names: those of them that are free stay at the front, for arrivals
    /// only.
    void rebuild(const std::vector<std::uint32_t>& promised);

    /// Before rebuild(): how many are to be left.
    void set_target(std::uint32_t target) { target_ = std::min(target, size()); }
    std::uint32_t target() const { return target_; }
    std::uint32_t surplus() const { return size() - target_; }
    bool leaving(std::uint32_t segment) const { return segment >= target_; }
    std::uint32_t withheld() const { return withheld_; }
    bool all_withheld() const { return withheld_ >= surplus(); }
    /// So many in all from now on; it never becomes less.
    void withhold(std::uint32_t count);
    /// One that stays, for what a leaving one holds; no_segment: none. It counts as free until
    /// moved() or move_failed().
    std::uint32_t take_for_move();
    void moved(std::uint32_t from) {  ///< what `from` held is elsewhere, and that is durable
        --moving_;
        release(from);
    }
    void move_failed(std::uint32_t to) {
        --moving_;
        release(to);
    }
    /// Nothing from here on will be opened or read again; target() at least. What is replaced
    /// counts as gone: true once the next checkpoint is durable.
    std::uint32_t end_of_use() const;
    /// Leaving ones that are promised, and that no header on flash names (`told`), are let go.
    void drop_promises(const std::vector<std::uint32_t>& told);
    bool promises_leaving() const {
        return std::any_of(promised_.begin(), promised_.end(),
                           [this](std::uint32_t segment) { return leaving(segment); });
    }
    /// What a header or footer may name: of those that stay, if there are any.
    std::vector<std::uint32_t> candidates() const;

    std::uint32_t free_count() const {
        const std::size_t count =
            promised_.size() + free_.size() + lent_.size() + retired_ + moving_;
        return static_cast<std::uint32_t>(count - std::min<std::size_t>(count, withheld_));
    }
    /// Free segments promised to the ring, in the order they will be taken.
    const std::deque<std::uint32_t>& promised() const { return promised_; }
    void top_up_promised();
    std::uint32_t next_promised() const;  ///< the one that take_promised gives; no_segment: none
    std::uint32_t take_promised();
    /// Puts one of `told` first, if any of them is promised.
    void prefer_promised(const std::vector<std::uint32_t>& told);
    /// Its first write failed, so nothing was promised in it: it is free again, as the last
    /// choice. `counted`: against it, not against the device.
    void opening_failed(std::uint32_t segment, bool counted);
    /// Those that were left alone are tried again, the next failure is their last.
    void forgive();
    std::uint32_t zeroing = no_segment;  ///< a part of it is being zeroed: not to be opened
    std::uint32_t zeroing_from = 0;      ///< ... from here on: not to be written
    std::uint32_t take_for_survivors();  ///< one that is not promised, else the last that is
    void release(std::uint32_t segment);
    /// Sealed and open arrivals, and sealed survivors with records, in the order of what they hold:
    /// by place, and of a stream no offset in an earlier one is larger than one in a later one.
    const std::deque<std::uint32_t>& ring() const { return ring_; }
    void push_ring(std::uint32_t segment) { ring_.push_back(segment); }
    /// Puts a sealed survivors segment where its place is.
    void enter_ring(std::uint32_t segment);
    /// Its records are elsewhere: it leaves the ring, and is released later.
    void leave_ring(std::uint32_t segment);

    bool before(std::uint32_t a, std::uint32_t b) const;  ///< the order of the ring

private:
    void put_free(std::uint32_t segment);
    void retire(std::uint32_t segment) {
        entries_[segment].retired = true;
        ++retired_;
    }
    std::vector<SegmentEntry> entries_;
    std::deque<std::uint32_t> promised_, free_, ring_;
    std::deque<std::uint32_t> lent_;  ///< free and leaving
    std::uint32_t target_ = 0, withheld_ = 0, retired_ = 0, moving_ = 0;
};

}  // namespace leat::log
