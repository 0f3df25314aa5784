// How a batch gets into the segment that is written: with others into a group; or, longer than a
// block (it may be half a segment), as a commit of its own with one frame in it, which is written a
// block at a time. Nothing points to the segment before it is handed over, so a commit that a crash
// cuts off between two pieces is never seen.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

bool Cleaner::fits(std::uint32_t frame_bytes) const {
    const std::uint64_t end = position_ + round_up(group_.used() + frame_bytes, core_.page);
    const std::uint64_t footer = round_up(
        index_.footer_bytes_bound() + footer_growth(FrameType::log_start, 8) + 8, core_.page);
    return end + footer <= core_.segment_bytes;
}

void Cleaner::add_batch() {
    const StreamId id = walk_.stream;
    const MutableBytes body =
        group_.add(FrameType::moved, id, static_cast<std::uint32_t>(batch_.size()), 0, Instant{});
    copy_bytes(batch_, body);
    store_little<std::uint64_t>(body.data() - 16, walk_.sequence);
    store_little<std::uint64_t>(body.data() - 8, walk_.age_ms);
    note_copied(position_ + group_.entries().back().at);
}

void Cleaner::note_copied(std::uint32_t frame_position) {
    const StreamId id = walk_.stream;
    index_.on_moved(id, walk_.fields, frame_position, walk_.age_ms);
    moved_ends_[id] = walk_.fields.end_offset();
    Output& output = outputs_.back();
    const Range& range = expected_[id];
    StreamInSegment& here = index_.streams[id];
    here.stream_max_timestamp = std::max(here.stream_max_timestamp, range.max_timestamp);
    output.links[id] = {here.first_offset, here.stream_max_timestamp, output.header.segment,
                        range.ordinal};
    core_.counters.cleaner_copied += batch_.size();
    if (core_.faults.moved_moves_end)
        if (Stream* stream = core_.streams.find(id))
            stream->state.log_end = walk_.fields.end_offset();
}

/// Makes all of the commit but the batch: in a fresh segment the header page, then the headers of
/// commit and frame. Their checksums need no more of the batch than its first bytes.
void Cleaner::begin_large(Instant now) {
    const Output& output = outputs_.back();
    const std::uint32_t page = position_ == core_.page ? core_.page : 0;
    FrameHeader frame;
    frame.type = FrameType::moved;
    frame.header_bytes = moved_header_bytes;
    frame.stream = walk_.stream;
    frame.body_bytes = frame.total_bytes = static_cast<std::uint32_t>(batch_.size());
    CommitHeader header = core_.commit_header(now);
    header.generation = output.header.generation;
    header.sequence = sequence_;
    header.position = position_;
    header.used = commit_header_bytes + static_cast<std::uint32_t>(frame.padded_bytes());
    header.bytes = static_cast<std::uint32_t>(round_up(header.used, core_.page));
    header.frames = 1;
    large_front_.assign(page + commit_header_bytes + moved_header_bytes + outside_kafka_crc, 0);
    if (page > 0)
        encode_segment_header(output.header,
                              MutableBytes(large_front_).first(segment_header_bytes));
    const MutableBytes at = MutableBytes(large_front_).subspan(page + commit_header_bytes);
    encode_frame_header(frame, at.data());
    store_little<std::uint64_t>(at.data() + 24, walk_.sequence);
    store_little<std::uint64_t>(at.data() + 32, walk_.age_ms);
    copy_bytes(ByteView(batch_).first(outside_kafka_crc), at.subspan(moved_header_bytes));
    header.tie = tied(0, seal_frame(output.header.salt, at));
    encode_commit_header(header, output.header.salt, large_front_.data() + page);
    large_front_.resize(large_front_.size() - outside_kafka_crc);
    large_at_ = 0;
    large_bytes_ = page + header.bytes;
}

/// The next piece of it goes out.
bool Cleaner::write_large() {
    const auto front = static_cast<std::uint32_t>(large_front_.size());
    const std::uint32_t size = std::min(cleaner_block_bytes, large_bytes_ - large_at_);
    piece_.reserve(cleaner_block_bytes, 0);
    const MutableBytes piece{piece_.data(), size};
    std::uint32_t done = 0;
    const auto take = [&](ByteView from) {
        const std::size_t some = std::min<std::size_t>(from.size(), size - done);
        copy_bytes(from.first(some), piece.subspan(done));
        done += static_cast<std::uint32_t>(some);
    };
    if (large_at_ < front) take(ByteView(large_front_).subspan(large_at_));
    if (const std::size_t at = large_at_ + done; at >= front && at - front < batch_.size())
        take(ByteView(batch_).subspan(at - front));
    std::fill(piece.begin() + done, piece.end(), std::uint8_t{0});
    const Output& output = outputs_.back();
    const std::uint32_t base = position_ == core_.page ? 0 : position_;
    flight_bytes_ = size;
    ticket_ = core_.ticket(Owner::cleaner);
    doing_ = Doing::piece;
    if (core_.storage.start_write(
            ticket_, core_.address(output.header.segment, base + large_at_), piece))
        return true;
    ticket_ = 0;
    return false;
}

void Cleaner::end_large() {
    note_copied(position_ + commit_header_bytes);
    index_.last_sequence = sequence_++;
    position_ += large_bytes_ - (position_ == core_.page ? core_.page : 0);
    large_at_ = large_bytes_ = 0;
    batch_waits_ = false;
}

}  // namespace leat::log
