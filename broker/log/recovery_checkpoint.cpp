#include "broker/log/ledger.hpp"
#include "broker/log/mend.hpp"
#include "broker/log/recovery_run.hpp"

#include <algorithm>

namespace leat::log {

Status Recovery::apply_checkpoint_commit(ByteView bytes, const CommitHeader& header) {
    std::size_t at = commit_header_bytes;
    for (std::uint32_t i = 0; i < header.frames; ++i) {
        if (at + frame_header_bytes > header.used) return fail(Error::corrupt);
        const FrameHeader frame = decode_frame_header(bytes.data() + at);
        if (frame.header_bytes < frame_header_bytes || frame.padded_bytes() > header.used - at)
            return fail(Error::corrupt);
        const ByteView body = bytes.subspan(at + frame.header_bytes, frame.body_bytes);
        if (frame.type == FrameType::checkpoint_begin) {
            const auto begin = decode_begin(body);
            if (!begin) return fail(Error::corrupt);
            begin_ = *begin;
        } else if (frame.type == FrameType::checkpoint_stream) {
            auto stream = decode_stream(body);
            if (!stream) return fail(Error::corrupt);
            core_.streams.make(frame.stream) = std::move(*stream);
        } else if (frame.type == FrameType::footer_producer) {
            const auto producer = decode_producer(body);
            if (!producer) return fail(Error::corrupt);
            core_.producers.restore(frame.stream, producer->producer_id, producer->producer);
        } else if (frame.type == FrameType::fact) {
            const auto fact = decode_fact_body(body);
            if (!fact) return fail(Error::corrupt);
            core_.facts.restore(Facts::key_of(fact->kind, fact->key),
                                std::string(text_of(fact->value)), fact->sequence);
        } else if (frame.forbids_writing()) {
            forbidden_ = true;
        } else if (frame.type == FrameType::checkpoint_segments) {
            if (!decode_segments(body, core_.segments, segments_that_fit()))
                return fail(Error::corrupt);
        }
        at += frame.padded_bytes();
    }
    return ok();
}

/// The commit of a checkpoint that stands in front of `bytes`. Where it does not hold, `bytes` are
/// its own with the one bit given back that it lost.
Result<CommitHeader> Recovery::checkpoint_commit(ByteView& bytes, const CheckpointPlace& place) {
    const auto check = [&]() -> Result<CommitHeader> {
        const Result<CommitHeader> header = decode_commit_header(bytes, place.salt);
        if (!header || header->kind != CommitKind::checkpoint ||
            header->position != place.position || header->generation != place.generation ||
            header->bytes > bytes.size() || header->bytes % core_.page != 0 ||
            !commit_holds(bytes, *header, place.salt, core_.faults.checksums_ignored))
            return fail(Error::corrupt);
        return header;
    };
    const Result<CommitHeader> header = check();
    if (header || place.bytes == 0) return header;
    mended_.assign(bytes.begin(), bytes.end());
    if (!mend_commit(mended_, place.salt, Mend::all)) return header;
    bytes = mended_;
    const Result<CommitHeader> mended = check();
    if (mended) {
        cut("the checkpoint lost a bit, which is known");
        out_.checkpoint_wanted = true;
    }
    return mended;
}

void Recovery::forget_checkpoint() {
    core_.segments.reset(core_.super.segments);
    core_.streams = {};
    core_.facts = {};
    core_.producers = Producers(core_.config.producers_max);
    begin_ = {};
}

/// The record that says where a checkpoint lies, in the commit that the superblock names.
Result<Recovery::FoundEnd> Recovery::end_record(const CheckpointPlace& place) {
    Result<ByteView> bytes = io_.read(core_.address(place.segment, place.position), place.bytes);
    if (!bytes) return fail(bytes.error());
    const Result<CommitHeader> last = checkpoint_commit(*bytes, place);
    if (!last || !commit_holds(*bytes, *last, place.salt, false)) return fail(Error::corrupt);
    const FrameHeader frame = decode_frame_header(bytes->data() + commit_header_bytes);
    if (last->frames != 1 || frame.type != FrameType::checkpoint_end) return fail(Error::corrupt);
    Result<CheckpointEnd> end =
        decode_end(bytes->subspan(commit_header_bytes + frame.header_bytes, frame.body_bytes));
    if (!end) return fail(end.error());
    return FoundEnd{*std::move(end), last->sequence};
}

/// Everything that lies in front of the end record. returns  how many frames that are
Result<std::uint64_t> Recovery::apply_extents(const CheckpointEnd& end) {
    std::uint64_t frames = 0;
    for (const CheckpointExtent& extent : end.extents) {
        for (std::uint32_t at = extent.from; at < extent.to;) {
            // A commit of a checkpoint is at most 64 KiB and one frame: one read each, two for a
            // larger one.
            std::uint32_t size = std::min<std::uint32_t>(extent.to - at, 128 * KiB);
            Result<ByteView> bytes = io_.read(core_.address(extent.segment, at), size);
            if (!bytes) return fail(bytes.error());
            if (bytes->size() < commit_header_bytes) return fail(Error::corrupt);
            const std::uint32_t told = load_little<std::uint32_t>(bytes->data() + 24);
            if (told > size && told <= extent.to - at) {
                bytes = io_.read(core_.address(extent.segment, at), told);
                if (!bytes) return fail(bytes.error());
            }
            std::size_t done = 0;
            while (done < bytes->size()) {  // as many whole commits as this read holds
                ByteView here = bytes->subspan(done);
                // Behind others it may go on where this read ends: the next one begins with it.
                const Result<CommitHeader> header = checkpoint_commit(
                    here, {.position = static_cast<std::uint32_t>(at + done),
                           .bytes = done == 0 ? size : 0,
                           .salt = extent.salt,
                           .generation = extent.generation});
                if (!header) {
                    if (done == 0) return fail(Error::corrupt);
                    break;
                }
                if (const Status applied = apply_checkpoint_commit(here, *header); !applied)
                    return fail(applied.error());
                frames += header->frames;
                done += header->bytes;
            }
            at += static_cast<std::uint32_t>(done);
        }
    }
    return frames;
}

Status Recovery::load_checkpoint(const CheckpointPlace& place) {
    forget_checkpoint();
    const std::uint32_t segment_bytes = core_.segment_bytes;
    if (place.segment >= segments_that_fit() || place.position % core_.page != 0 ||
        place.bytes == 0 || place.bytes > segment_bytes ||
        place.position > segment_bytes - place.bytes)
        return fail(Error::corrupt);
    Result<FoundEnd> found = end_record(place);
    if (!found) found = second_end_record(place);
    if (!found) return fail(Error::corrupt);
    const CheckpointEnd& end = found->end;
    for (const CheckpointExtent& extent : end.extents)
        if (extent.segment >= segments_that_fit() || extent.to > segment_bytes ||
            extent.from >= extent.to || (extent.from | extent.to) % core_.page != 0)
            return fail(Error::corrupt);
    const auto whole = [&](const Result<std::uint64_t>& frames) {
        return frames && *frames == end.frames && begin_.number == end.number;
    };
    if (!whole(apply_extents(end))) {
        forget_checkpoint();
        if (!whole(apply_restored(end))) return fail(Error::corrupt);
    }
    const auto outside = [this](std::uint32_t segment) { return segment >= core_.segments.size(); };
    if (outside(place.segment) ||
        std::any_of(end.extents.begin(), end.extents.end(),
                    [&](const CheckpointExtent& extent) { return outside(extent.segment); }))
        return fail(Error::corrupt);

    core_.producers.restored();

    // A log start may have moved between a stream's record and the facts.
    for (const auto& [key, fact] : core_.facts.all()) apply_book(core_, key, bytes_of(fact.value));

    // What the table says of the checkpoints' segments is older than the checkpoint itself.
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i) {
        SegmentEntry& entry = core_.segments[i];
        if (entry.state == SegmentState::bad || (entry.area == Area::survivors && !entry.records)) {
            const std::uint64_t generation = entry.generation;
            entry = {};
            entry.generation = generation;
        }
    }
    CheckpointWriter::Tail& tail = out_.checkpoint;
    tail = {};
    tail.extents = end.extents;
    tail.extents.push_back({place.segment, place.salt, place.generation, place.position,
                            place.position + place.bytes});
    for (const CheckpointExtent& extent : tail.extents) {
        SegmentEntry& entry = core_.segments[extent.segment];
        entry = {};
        entry.generation = extent.generation;
        entry.salt = extent.salt;
        entry.area = Area::survivors;
        entry.state = extent.segment == place.segment ? SegmentState::open : SegmentState::sealed;
        entry.data_end = extent.to;
    }
    tail.segment = place.segment;
    tail.position = place.position + place.bytes;
    tail.place = begin_.survivors_place + tail.extents.size();
    tail.next_sequence = found->sequence + 1;
    tail.number = end.number;
    tail.bytes = end.bytes + place.bytes;
    log_time_ms_ = begin_.log_time_ms;
    off_time_ms_ = begin_.off_time_ms;
    trusted_wall_ms_ = begin_.trusted_wall_ms;
    trusted_at_ms_ = begin_.trusted_at_ms;
    core_.redo_place = begin_.redo_place;
    have_checkpoint_ = true;
    return ok();
}

}  // namespace leat::log
