// The walk over frames: from the position that read.cpp found to whole batches in the reader's
// memory.
#include <algorithm>

#include "broker/log/read.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

/// As far as the head that was read reaches; a longer frame is judged by its type alone.
bool frame_crc_ok(std::uint32_t salt, const std::uint8_t* head, const FrameHeader& frame) {
    const std::uint32_t covered = frame.header_bytes + frame.covered_bytes();
    // A frame of a type that is known has one header length, and says how long it is twice: else a
    // flipped bit of its length would step over its neighbours.
    if (covered > frame_header_bytes + batch_header_bytes)
        return !frame.known() ||
               (frame.plain() && (frame.holds_batch() || frame.type == FrameType::more ||
                                  frame.body_bytes == frame.total_bytes));
    return frame_crc(salt, {head, frame_header_bytes + batch_header_bytes}, frame) == frame.crc;
}

/// Behind damage only what proves itself counts: the checksum is seeded, no payload looks like it.
bool frame_proven(std::uint32_t salt, const std::uint8_t* head, std::uint32_t room) {
    const FrameHeader frame = decode_frame_header(head);
    return frame.known() && frame.plain() && frame.padded_bytes() <= room &&
           frame.header_bytes + frame.covered_bytes() <= frame_header_bytes + batch_header_bytes &&
           frame_crc_ok(salt, head, frame);
}

}  // namespace

Reader::Next Reader::copy(Job& job, std::uint32_t position, MutableBytes into, std::size_t& got) {
    const SegmentEntry& entry = core_.segments[job.node.segment];
    if (entry.generation != job.generation || entry.state == SegmentState::free) {
        job.beyond.reset();  // recycled under us: plan again
        job.stage = Stage::plan;
        got = 0;
        return Next::go_on;
    }
    const std::uint32_t end = data_end(job.node.segment);
    const ByteView recent =
        arrivals_.recent().find(job.node.segment, job.generation, position, into.size());
    ByteView bytes = recent;
    if (bytes.empty()) {
        const BlockCache::Found block =
            blocks_.get(job.node.segment, job.generation, position, end);
        read_ahead(job, position);
        if (block.state == Fetched::pending) return Next::wait;
        if (block.state != Fetched::ready) {
            job.refused_at = position;
            return damage(job, block.state == Fetched::failed ? Damaged::page : Damaged::doubted);
        }
        bytes = block.bytes;
        job.from_device = true;
    }
    got = std::min(bytes.size(), into.size());
    job.read_to = position + static_cast<std::uint32_t>(got);
    copy_bytes(bytes.first(got), into);
    return Next::go_on;
}

Reader::Next Reader::at_frame(Job& job) {
    const std::uint32_t end = data_end(job.node.segment);
    if (job.head_have == 0) {
        // Blocks that hold no batch of this stream are skipped: a point says where one begins in
        // each that does.
        if (!job.in_more) {
            const std::uint32_t block = job.position / point_block_bytes * point_block_bytes;
            const auto& points = job.here.points;
            const auto point =
                std::lower_bound(points.begin(), points.end(), block,
                                 [](const Point& p, std::uint32_t at) { return p.position < at; });
            if (point == points.end()) return next_segment(job);
            if (point->position >= job.position) job.resync = false;
            job.position = std::max(job.position, point->position);
        }
        if (job.position >= end) return next_segment(job);
    }
    // The first byte tells what stands here, the rest of the head follows.
    const bool on_page = job.position % core_.page == 0;
    if (on_page && job.in_more) {  // a commit header, whatever became of it: the rest says if it is
        job.position += commit_header_bytes;
        return Next::go_on;
    }
    const auto want = [&]() -> std::uint32_t {
        if (job.head_have == 0) return 1;
        if (on_page && job.head[0] == commit_first_byte) return commit_header_bytes;
        if (job.head[0] == 0 && !job.resync)
            return std::min(frame_header_bytes, core_.page - job.position % core_.page);
        return std::min<std::uint32_t>(
            FrameHeader::header_bytes_of(static_cast<FrameType>(job.head[0])) + batch_header_bytes,
            end - job.position);
    };
    while (job.head_have < want()) {
        std::size_t got = 0;
        const Stage stage = job.stage;
        const Next next = copy(job, job.position + job.head_have,
                               MutableBytes(job.head + job.head_have, want() - job.head_have), got);
        if (next != Next::go_on || job.stage != stage || got == 0) return next;
        job.head_have += static_cast<std::uint32_t>(got);
    }
    const std::uint32_t have = std::exchange(job.head_have, 0);
    const std::uint32_t salt = core_.segments[job.node.segment].salt;
    if (job.resync) {
        const bool commit = on_page && have >= commit_header_bytes &&
                            decode_commit_header({job.head, commit_header_bytes}, salt);
        if (!commit && (have < frame_header_bytes + batch_header_bytes ||
                        !frame_proven(salt, job.head, end - job.position))) {
            job.position += 8;
            return Next::go_on;
        }
        job.resync = false;
    }
    if (on_page && job.head[0] == commit_first_byte) {
        const Result<CommitHeader> commit =
            decode_commit_header({job.head, commit_header_bytes}, salt);
        if (!commit || commit->generation != job.generation) return damage(job);
        if (commit->kind == CommitKind::footer) return next_segment(job);
        job.position += commit_header_bytes;
        return Next::go_on;
    }
    if (job.head[0] == 0) {
        // Padding is zero; a frame that lost its type is not.
        if (on_page || std::any_of(job.head, job.head + have, [](auto byte) { return byte != 0; }))
            return damage(job);
        job.in_more =
            false;  // a commit without frames (a seal) follows: the part before it is void
        job.position = static_cast<std::uint32_t>(round_up(job.position, core_.page));
        return Next::go_on;
    }
    job.frame = decode_frame_header(job.head);
    const FrameHeader& frame = job.frame;
    // A commit whose first byte is lost looks like a long frame of a type that is not known.
    if (frame.header_bytes < frame_header_bytes || frame.header_bytes % 8 != 0 ||
        frame.padded_bytes() > end - job.position)
        return damage(job);
    if (job.in_more && frame.type != FrameType::more && frame_crc_ok(salt, job.head, frame)) {
        // The rest of that batch was never acknowledged: a power cut took it, and the next run
        // wrote on here.
        job.in_more = false;
    }
    if (job.in_more) {
        if (frame.type != FrameType::more || frame.stream != job.request.stream ||
            frame.before_bytes != job.body_have ||
            frame.body_bytes > job.batch.total_bytes - job.body_have)
            return damage(job);
        job.part_left = frame.body_bytes;
        job.stage = Stage::body;
        return Next::go_on;
    }
    const auto skip = static_cast<std::uint32_t>(frame.padded_bytes());
    const bool batch = frame.type == FrameType::append ||
                       (frame.type == FrameType::moved && core_.segments[job.node.segment].records);
    if (!batch || frame.stream != job.request.stream) {
        if (!frame_crc_ok(salt, job.head, frame)) return damage(job);
        job.position += skip;
        return Next::go_on;
    }
    if (!frame.plain() || frame.body_bytes < batch_header_bytes ||
        frame_crc(salt, {job.head, frame_header_bytes + batch_header_bytes}, frame) != frame.crc)
        return damage(job);
    const Result<BatchFields> fields =
        read_batch_fields({job.head + frame.header_bytes, batch_header_bytes});
    if (!fields || fields->total_bytes != frame.total_bytes || frame.body_bytes > frame.total_bytes)
        return damage(job);
    job.batch = *fields;
    if (job.counting) {
        job.counted += frame.continues() ? 0 : 1;  // a part may be all there ever was of it
        job.position += skip;
        return Next::go_on;
    }
    if (job.batch.base_offset <= job.request.from && !job.by_time) nothing_wanted_hit(job);
    if (job.batch.end_offset() <= job.target ||
        (job.by_time && job.batch.max_timestamp < job.target_time)) {
        // Not summed yet: never further than the index says.
        job.target = std::max(job.target, std::min(job.batch.end_offset(), job.here.end_offset));
        job.position += skip;
        return Next::go_on;
    }
    if (job.batch.base_offset >= end_of_request(job)) return finish(job);
    if (job.damaged && job.filled == 0 && !job.by_time) {  // readable again from here
        job.target = job.batch.base_offset;
        return fail_with(job, Error::corrupt);
    }
    const Stream* stream = core_.streams.find(job.request.stream);
    const bool gap = job.batch.base_offset > job.target && !job.by_time &&
                     (stream == nullptr || !stream->has_gaps || job.doubted);
    if (gap && job.doubted) return fail_with(job, Error::storage);
    if (gap && job.request.from == job.target && job.filled == 0) {
        // Nothing wrote down that these are gone unless an end was raised, which the ledger knows;
        // what compaction left out the books know.
        job.target = job.batch.base_offset;
        tell_damaged(job);
    } else if (gap && job.filled > 0) {
        return finish(job);  // the gap is met by the next read
    }
    if (job.by_time) {
        job.batch_memory.resize(job.batch.total_bytes);
    } else if (job.batch.total_bytes > job.into.size() - job.filled) {
        if (job.filled > 0) return finish(job);
        job.result.needed = job.batch.total_bytes;
        return fail_with(job, Error::too_large);
    } else if (job.filled > 0 && job.damaged) {
        return finish(job);
    }
    job.frame_position = job.position;
    job.body_have = 0;
    job.crc = 0;
    job.summed = outside_kafka_crc;
    job.part_left = frame.body_bytes;
    job.from_device = false;
    job.stage = Stage::body;
    return Next::go_on;
}

Reader::Next Reader::at_body(Job& job) {
    std::uint8_t* to = job.by_time ? job.batch_memory.data() : job.into.data() + job.filled;
    while (job.part_left > 0) {
        const std::uint32_t done = job.frame.body_bytes - job.part_left;
        std::size_t got = 0;
        const Next next = copy(job, job.position + job.frame.header_bytes + done,
                               {to + job.body_have, job.part_left}, got);
        if (next != Next::go_on || job.stage != Stage::body || got == 0) return next;
        job.body_have += static_cast<std::uint32_t>(got);
        // While the copy is at hand: a batch may be larger than the processor's cache.
        if (job.from_device) sum_up(job, to);
        job.part_left -= static_cast<std::uint32_t>(got);
    }
    job.position += static_cast<std::uint32_t>(job.frame.padded_bytes());
    job.in_more = false;
    if (job.frame.continues()) {
        job.in_more = true;
        job.stage = Stage::frame;
        return Next::go_on;
    }
    return batch_read(job);
}

void Reader::sum_up(Job& job, const std::uint8_t* batch) {
    if (job.body_have <= job.summed) return;
    job.crc = crc32c(job.crc, {batch + job.summed, job.body_have - job.summed});
    job.summed = job.body_have;
}

bool Reader::sum_holds(Job& job, ByteView batch) {
    if (!job.from_device || core_.faults.checksums_ignored) return true;  // it never left memory
    sum_up(job, batch.data());
    return job.crc == load_big<std::uint32_t>(batch.data() + 17);
}

Reader::Next Reader::batch_read(Job& job) {
    const ByteView batch = job.by_time
                               ? ByteView(job.batch_memory)
                               : ByteView(job.into).subspan(job.filled, job.batch.total_bytes);
    if (job.body_have != job.batch.total_bytes || !sum_holds(job, batch)) {
        job.position = job.frame_position;
        return damage(job);
    }
    job.target = job.batch.end_offset();
    job.stage = Stage::frame;
    job.head_have = 0;
    if (!job.by_time) {
        job.filled += job.batch.total_bytes;
        return job.target >= end_of_request(job) ? finish(job) : Next::go_on;
    }
    const Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return Next::go_on;
    const Offset from = stream->state.log_start;
    std::optional<TimeDone::Found> found;
    if (record_times_ && !job.batch.log_append_time()) {
        found = record_times_(batch, job.target_time, from);
    } else {
        found = TimeDone::Found{std::max(job.batch.base_offset, from), job.batch.max_timestamp};
    }
    if (!found || found->offset >= job.batch.end_offset()) return Next::go_on;
    job.time_result.found = *found;
    return finish(job);
}

}  // namespace leat::log
