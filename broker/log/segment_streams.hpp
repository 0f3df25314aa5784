// What one segment holds of each of its streams.
#pragma once

#include <algorithm>
#include <vector>

#include "broker/log/frame.hpp"
#include "broker/log/index.hpp"

namespace leat::log {

constexpr std::uint32_t point_block_bytes =
    16 * 1024;  ///< one point per stream in each block of this size

struct Point {
    std::uint32_t offset_delta = 0;  ///< from the stream's first offset in this segment
    std::uint32_t position = 0;      ///< of a frame
};

struct StreamInSegment {
    Offset first_offset = -1;  ///< -1: no batch of it here
    Offset end_offset = -1;
    Offset log_start = -1;  ///< -1: not told here
    Offset raised_end = -1;
    std::uint64_t batch_bytes = 0;
    std::int64_t max_timestamp = -1;
    Offset max_timestamp_offset = -1;
    std::uint64_t last_age_ms = 0;
    std::int64_t stream_max_timestamp = -1;  ///< of the whole stream up to the end of this segment
    std::uint32_t batches = 0;
    bool dropped = false;
    std::uint32_t ordinal = 0;
    Few<Link, 2> links;
    Few<Point, 2> points;
    bool holds_batches() const { return first_offset >= 0; }
    /// Of the batch bytes those at and after `from`, in proportion.
    std::uint64_t bytes_from(Offset from) const {
        if (from <= first_offset || end_offset <= first_offset) return batch_bytes;
        const auto part = static_cast<double>(end_offset - std::min(from, end_offset)) /
                          static_cast<double>(end_offset - first_offset);
        return static_cast<std::uint64_t>(static_cast<double>(batch_bytes) * part);
    }
    /// What copying it takes, at most.
    std::uint64_t moved_bytes() const {
        return batch_bytes + std::uint64_t{batches} * (moved_header_bytes + 7);
    }
};

/// The streams of one segment, in the order in which they came to it; found by a table, so that a
/// batch of thousands of streams costs what one of ten does.
class SegmentStreams {
public:
    using Entry = std::pair<const StreamId, StreamInSegment>;
    template <class Of>
    class Walk {
    public:
        Walk(const SegmentStreams* of, std::size_t at) : of_(of), at_(at) {}
        Of& operator*() const { return *of_->entries_[at_]; }
        Of* operator->() const { return of_->entries_[at_]; }
        Walk& operator++() {
            ++at_;
            return *this;
        }
        bool operator==(const Walk& other) const { return at_ == other.at_; }

    private:
        const SegmentStreams* of_;
        std::size_t at_;
    };
    Walk<Entry> begin() { return {this, 0}; }
    Walk<Entry> end() { return {this, entries_.size()}; }
    Walk<const Entry> begin() const { return {this, 0}; }
    Walk<const Entry> end() const { return {this, entries_.size()}; }
    std::size_t size() const { return entries_.size(); }
    bool empty() const { return entries_.empty(); }
    StreamInSegment* find(StreamId id) {
        Entry* found = table_.find(id);
        return found == nullptr ? nullptr : &found->second;
    }
    const StreamInSegment* find(StreamId id) const {
        return const_cast<SegmentStreams*>(this)->find(id);
    }
    /// It will be asked for soon: the processor may fetch it meanwhile.
    void expect(StreamId id) const {
        if (const Entry* entry = table_.find(id)) prefetch_front(entry, sizeof(Entry));
    }
    bool contains(StreamId id) const { return table_.find(id) != nullptr; }
    /// Made if it is not there yet.
    StreamInSegment& operator[](StreamId id);
    /// By their numbers, as a footer has them.
    std::vector<const Entry*> in_order() const;
    /// Forgets the last ones; nothing else is asked of it after that.
    void shed(std::size_t count);

private:
    static constexpr std::size_t chunk_entries = 16;
    std::vector<std::vector<Entry>> chunks_;  ///< none of which moves what it holds
    std::vector<Entry*> entries_;
    StreamTable<Entry> table_;
};

}  // namespace leat::log
