#include "broker/log/core.hpp"

#include "broker/log/ledger.hpp"

namespace leat::log {

std::uint32_t Core::segments_reserved() const {
    std::int64_t unfilled = 0;
    for (const StreamId id : reserving)
        if (const Stream* stream = streams.find(id))
            unfilled += std::max<std::int64_t>(0, reservation(*stream) - stream->state.bytes);
    if (unfilled == 0) return 0;
    // Less header, footer and some padding; a segment of four pages holds at least one of records.
    const std::int64_t holds = std::max<std::int64_t>(std::int64_t{segment_bytes} - 4 * page, page);
    // Small records fill segments with padding until they are packed: two more, for those that are
    // being packed and for what stays between them.
    constexpr std::int64_t packing = 2;
    return static_cast<std::uint32_t>(
        std::min<std::int64_t>((unfilled + holds - 1) / holds + packing, segments.target()));
}

std::uint64_t Core::reserved_bytes() const {
    std::int64_t all = 0;
    for (const StreamId id : reserving)
        if (const Stream* stream = streams.find(id)) all += stream->policy.reserved_bytes;
    return static_cast<std::uint64_t>(all);
}

namespace {
constexpr std::uint64_t stream_checkpoint_bytes = frame_header_bytes + 56;
/// The same with a link of each kind, and a book: it gets one with the first record that goes.
constexpr std::uint64_t stream_bytes_soon = stream_checkpoint_bytes + 3 * link_bytes + 144;
constexpr std::uint64_t fact_checkpoint_bytes = frame_header_bytes + fact_body_bytes + 8;
constexpr std::uint64_t producer_checkpoint_bytes =
    frame_header_bytes + producer_body_bytes(producer_batches_max);
}  // namespace

void Core::weigh_streams() {
    streams_bytes = 0;
    for (const auto& [id, stream] : streams.all())
        streams_bytes += stream_checkpoint_bytes + link_bytes * (stream.levels.size() +
                                                                 stream.anchors.size() +
                                                                 stream.newest_links.size());
}

std::uint64_t Core::checkpoint_bytes_soon() const {
    const std::uint64_t now =
        std::max(streams_bytes, streams.size() * stream_bytes_soon) + facts.bytes() +
        facts.all().size() * fact_checkpoint_bytes +
        producers.all().size() * producer_checkpoint_bytes + sizeof(SegmentEntry) * segments.size();
    return std::max(checkpoint_bytes, now);
}

std::uint32_t Core::segments_for_checkpoint() const {
    // A piece that does not fit in any more leaves the end of a segment empty.
    const std::uint64_t holds =
        segment_bytes - page - std::min<std::uint32_t>(64 * KiB, segment_bytes / 4);
    const auto needed =
        static_cast<std::uint32_t>((checkpoint_bytes_soon() + holds - 1) / holds);
    return std::max(needed - std::min(needed, checkpoint_taken), segments_kept_for_checkpoint);
}

bool Core::room_for_streams(std::size_t more) const {
    constexpr std::uint64_t usual = 192;  // of one with few links; its book counts as a fact
    return (streams.size() + more) * usual <= budget_bytes() / 16;
}

std::uint32_t Core::producers_allowed() const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(
        config.producers_max, budget_bytes() / 32 / producer_checkpoint_bytes));
}

void Core::tell_damaged(const DamagedPlace& place) {
    constexpr std::size_t places_max = 8;
    for (DamagedPlace& known : damaged)
        if (known.device_position == place.device_position && known.what == place.what) {
            known.age_ms = place.age_ms;
            return;
        }
    if (damaged.size() == places_max) damaged.erase(damaged.begin());
    damaged.push_back(place);
}

std::optional<FrameReplay::Batch> FrameReplay::on_frame(const FrameHeader& header, ByteView frame,
                                                        std::uint32_t position) {
    const ByteView body = frame.subspan(header.header_bytes, header.body_bytes);
    const bool first = first_;
    first_ = false;
    if (header.type == FrameType::more) {
        if (!part_ || !first || header.stream != part_->batch.stream ||
            header.before_bytes != part_->have) {
            part_.reset();
            return std::nullopt;
        }
        part_->have += header.body_bytes;
        if (header.continues()) return std::nullopt;
        Batch whole = part_->batch;
        const bool fits = part_->have == whole.fields.total_bytes;
        part_.reset();
        if (!fits) return std::nullopt;
        whole.here = &index_->on_batch(whole.stream, whole.fields, whole.position, age_ms_);
        return whole;
    }
    part_.reset();
    switch (header.type) {
        case FrameType::append: {
            const Result<BatchFields> fields = read_batch_fields(body);
            if (!fields || fields->total_bytes != header.total_bytes) return std::nullopt;
            Batch batch{header.stream, *fields, position};
            if (header.continues()) {
                part_ = Part{batch, header.body_bytes};
                return std::nullopt;
            }
            batch.here = &index_->on_batch(batch.stream, batch.fields, batch.position, age_ms_);
            return batch;
        }
        case FrameType::moved: {
            // In survivors it is a record to be found; it moves neither log end nor producers.
            if (area_ != Area::survivors) return std::nullopt;
            const Result<BatchFields> fields = read_batch_fields(body);
            if (fields && fields->total_bytes == body.size() &&
                header.header_bytes >= moved_header_bytes)
                index_->on_moved(header.stream, *fields, position,
                                 load_little<std::uint64_t>(frame.data() + 32));
            return std::nullopt;
        }
        case FrameType::fact:
        case FrameType::fact_erased:
            if (const Result<FactBody> fact = decode_fact_body(body))
                index_->on_fact(*fact, header.type == FrameType::fact_erased,
                                fact->sequence != 0 ? fact->sequence : sequence_);
            return std::nullopt;
        case FrameType::log_start:
            if (body.size() >= 8)
                index_->on_log_start(header.stream, load_little<std::int64_t>(body.data()));
            return std::nullopt;
        case FrameType::log_end:
            if (body.size() >= 8)
                index_->on_log_end(header.stream, load_little<std::int64_t>(body.data()));
            return std::nullopt;
        case FrameType::dropped:
            index_->on_dropped(header.stream);
            return std::nullopt;
        default:
            return std::nullopt;  // not for the ring
    }
}

namespace {

void note_timestamp(Stream& stream, std::int64_t timestamp, Offset offset) {
    if (timestamp > stream.flushed_max_timestamp) {
        stream.flushed_max_timestamp = timestamp;
        stream.flushed_max_timestamp_offset = offset;
    }
    if (timestamp > stream.state.max_timestamp) {
        stream.state.max_timestamp = timestamp;
        stream.state.max_timestamp_offset = offset;
    }
}

}  // namespace

void apply_durable_batch(Core& core, SegmentIndex& index, std::uint32_t segment,
                         const FrameReplay::Batch& batch) {
    Stream* stream = core.streams.find(batch.stream);
    if (stream == nullptr) return;  // dropped while the commit was under way
    StreamInSegment& here = *batch.here;
    if (here.ordinal == 0) {
        stream->enter_segment(segment, batch.fields.base_offset, core.anchors_limit());
        here.ordinal = stream->ordinal;
        here.links = stream->newest_links;
        index.add_links(here.links.size());
    }
    stream->compaction.dirty_since_ms =
        std::min(stream->compaction.dirty_since_ms, here.last_age_ms);
    stream->state.flushed = std::max(stream->state.flushed, batch.fields.end_offset());
    stream->flushed_bytes += batch.fields.total_bytes;
    note_timestamp(*stream, batch.fields.max_timestamp,
                   batch.fields.base_offset + batch.fields.last_offset_delta);
    here.stream_max_timestamp = stream->flushed_max_timestamp;
}

void apply_index(Core& core, SegmentIndex& index, std::uint32_t segment) {
    for (const auto& [key, fact] : index.facts)
        if (fact.value) apply_book(core, key, bytes_of(*fact.value));
    for (auto& [id, here] : index.streams) {
        if (here.dropped) {
            core.streams.erase(id);
            core.producers.forget_stream(id);
            continue;
        }
        Stream& stream = core.streams.make(id);
        StreamState& state = stream.state;
        const Offset known_end = state.log_end;
        state.log_end = std::max({state.log_end, here.end_offset, here.raised_end});
        state.log_start = std::max(state.log_start, here.log_start);
        state.flushed = state.log_end;
        if (!here.holds_batches()) continue;
        const bool in_anchors = !stream.anchors.empty() &&
                                stream.anchors.back().segment == segment &&
                                stream.anchors.back().first_offset == here.first_offset;
        if (here.ordinal == 0 ? !in_anchors : here.ordinal > stream.ordinal) {
            if (here.ordinal != 0) stream.ordinal = here.ordinal - 1;
            stream.enter_segment(segment, here.first_offset, core.anchors_limit());
        }
        if (here.ordinal == 0) {
            here.ordinal = stream.ordinal;
            here.links = stream.newest_links;
            index.add_links(here.links.size());
        }
        // The checkpoint, or a book, may already count a part of this segment: only what is behind
        // it is added.
        const Offset counted = std::max(known_end, stream.counted_to);
        state.bytes += static_cast<std::int64_t>(here.bytes_from(counted));
        stream.flushed_bytes = state.bytes;
        note_timestamp(stream, here.max_timestamp, here.max_timestamp_offset);
        here.stream_max_timestamp =
            std::max(here.stream_max_timestamp, stream.flushed_max_timestamp);
    }
    for (const auto& [key, producer] : index.producers)
        if (core.streams.find(key.stream) != nullptr)
            core.producers.restore(key.stream, key.producer_id, producer);
    for (const auto& [key, fact] : index.facts) core.facts.restore(key, fact.value, fact.sequence);
}

SegmentEntry& Core::begin_segment(Instant now, std::uint32_t segment, SegmentHeader& header) {
    header.log_id = super.log_id;
    header.segment = segment;
    header.generation = next_generation();
    header.salt = make_salt();
    header.page_bytes = page;
    header.log_time_ms = time.log_ms(now);
    header.off_time_ms = time.off_ms();
    header.wall_ms = time.wall_ms();
    header.run = run;
    SegmentEntry& entry = segments[segment];
    const std::uint8_t failures = entry.failures;
    entry = {};
    entry.failures = failures;
    entry.generation = header.generation;
    entry.place = header.place;
    entry.salt = header.salt;
    entry.area = header.area;
    entry.state = SegmentState::open;
    return entry;
}

void roll_back(Core& core) {
    ++core.rollbacks;
    for (auto& [id, stream] : core.streams.all()) {
        StreamState& state = stream.state;
        state.log_end = state.flushed;
        // Behind it only where it was raised with the end of an empty stream.
        state.log_start = std::min(state.log_start, state.log_end);
        state.bytes = stream.flushed_bytes;
        state.max_timestamp = stream.flushed_max_timestamp;
        state.max_timestamp_offset = stream.flushed_max_timestamp_offset;
    }
    core.facts.roll_back(core.flushed_id);
    core.producers.roll_back(core.flushed_id);
}

}  // namespace leat::log
