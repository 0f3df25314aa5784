// What one segment holds: the index of an open segment in RAM, the footer of a sealed one on flash
// (FORMAT.md section 6). Both are the same object: reading the frames of a segment and reading its
// footer give equal SegmentIndexes, so recovery and reads have one path.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/log/commit.hpp"
#include "broker/log/facts.hpp"
#include "broker/log/index.hpp"
#include "broker/log/producers.hpp"
#include "broker/log/segment.hpp"
#include "broker/log/segment_streams.hpp"

namespace leat::log {

constexpr std::uint32_t footer_trailer_bytes = 32;

struct SegmentIndex {
    SegmentStreams streams;
    std::map<ProducerKey, Producer> producers;
    struct FactChange {
        std::optional<std::string> value;
        std::uint64_t sequence = 0;
    };
    std::map<std::string, FactChange, std::less<>> facts;
    std::uint32_t data_end = 0;
    std::uint64_t last_sequence = 0;
    std::uint64_t last_age_ms = 0;
    std::uint64_t batch_bytes = 0;
    /// Batches that do not hold, between commits that do: their frames say what they were. In RAM
    /// only.
    struct Lost {
        StreamId stream = 0;
        Offset from = 0, to = 0;
        std::uint64_t bytes = 0;
    };
    std::vector<Lost> lost;
    bool forbids_writing = false;           ///< a frame of a later program that says so
    std::vector<std::uint32_t> candidates;  ///< filled when the footer is written

    /// returns  what the segment holds of its stream; there as long as the index is
    StreamInSegment& on_batch(StreamId stream, const BatchFields& fields, std::uint32_t position,
                              std::uint64_t age_ms);
    /// A copy in survivors: found by the index, and nothing more is learned from it.
    void on_moved(StreamId stream, const BatchFields& fields, std::uint32_t position,
                  std::uint64_t age_ms);
    void on_fact(const FactBody& fact, bool erased, std::uint64_t sequence);
    void on_log_start(StreamId stream, Offset offset);
    void on_log_end(StreamId stream, Offset offset);
    void on_dropped(StreamId stream);

    /// An upper bound of what the footer takes, kept as things are added: the open segment leaves
    /// that free.
    std::uint32_t footer_bytes_bound() const { return footer_bytes_; }
    /// Forgets some entries; for one that nobody needs any more.
    void shed(std::size_t count);
    /// What copying all of it takes, at most.
    std::uint32_t live_bytes() const;
    std::uint32_t batches() const;
    void add_links(std::size_t count) {
        footer_bytes_ += static_cast<std::uint32_t>(count * link_bytes);
    }

private:
    StreamInSegment& on_records(StreamId stream, const BatchFields& fields, std::uint32_t position,
                                std::uint64_t age_ms);
    StreamInSegment& touch(StreamId stream);
    std::uint32_t footer_bytes_ = commit_header_bytes + footer_trailer_bytes + 24 + 64 + 8;
};

/// What one more frame may add to a footer at most.
std::uint32_t footer_growth(FrameType type, std::uint32_t body_bytes);

/// The footer as one commit that ends at the segment's end; `header` has all but lengths and
/// position. returns  the bytes to write at segment_bytes - size; empty: larger than a segment
/// (only made of damage)
std::vector<std::uint8_t> encode_footer(const SegmentIndex& index, CommitHeader header,
                                        std::uint32_t salt, std::uint32_t page_bytes,
                                        std::uint32_t segment_bytes);
struct FooterTrailer {
    std::uint32_t position = 0, bytes = 0;
    std::uint32_t tie = 0;  ///< as in the header of the footer that it belongs to
};
/// `last`: the last 32 bytes of the segment.
std::optional<FooterTrailer> decode_trailer(ByteView last, std::uint64_t generation,
                                            std::uint32_t salt, std::uint32_t segment_bytes);
/// `bytes`: the whole footer. fails: corrupt
Result<SegmentIndex> decode_footer(ByteView bytes, std::uint64_t generation, std::uint32_t salt);
/// Whether decode_footer would succeed, without what it makes.
Status check_footer(ByteView bytes, std::uint64_t generation, std::uint32_t salt);
/// Only streams that hold batches, and no producers and facts; unchecked, as find_in_footer.
Result<SegmentIndex> decode_footer_batches(ByteView bytes);
/// Only one stream out of it, without building the rest; not_found if it is not there.
Result<StreamInSegment> find_in_footer(ByteView bytes, StreamId stream);

inline void put_link(InPlace& to, const Link& link) {
    to.put<std::int64_t>(link.first_offset);
    to.put<std::int64_t>(link.max_timestamp);
    to.put<std::uint32_t>(link.segment);
    to.put<std::uint32_t>(link.ordinal);
}
Link get_link(LittleReader& from);

}  // namespace leat::log
