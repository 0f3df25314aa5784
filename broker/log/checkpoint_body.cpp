// The frames of a checkpoint as bytes (FORMAT.md section 7).
#include "broker/log/checkpoint.hpp"

namespace leat::log {

namespace {
constexpr std::size_t stream_fixed_bytes = 5 * 8 + 4 * 4;  ///< of a stream without links
}

void encode_begin(std::vector<std::uint8_t>& out, const CheckpointBegin& begin) {
    LittleWriter to(out);
    to.put<std::uint64_t>(begin.number);
    to.put<std::uint32_t>(begin.redo_segment);
    to.put<std::uint32_t>(0);
    to.put<std::uint64_t>(begin.redo_generation);
    to.put<std::uint64_t>(begin.redo_place);
    to.put<std::uint64_t>(begin.redo_sequence);
    to.put<std::uint64_t>(begin.survivors_place);
    to.put<std::uint64_t>(begin.log_time_ms);
    to.put<std::uint64_t>(begin.off_time_ms);
    to.put<std::int64_t>(begin.trusted_wall_ms);
    to.put<std::uint64_t>(begin.trusted_at_ms);
}

Result<CheckpointBegin> decode_begin(ByteView body) {
    LittleReader in(body);
    CheckpointBegin begin;
    begin.number = in.get<std::uint64_t>();
    begin.redo_segment = in.get<std::uint32_t>();
    in.skip(4);
    begin.redo_generation = in.get<std::uint64_t>();
    begin.redo_place = in.get<std::uint64_t>();
    begin.redo_sequence = in.get<std::uint64_t>();
    begin.survivors_place = in.get<std::uint64_t>();
    begin.log_time_ms = in.get<std::uint64_t>();
    begin.off_time_ms = in.get<std::uint64_t>();
    begin.trusted_wall_ms = in.get<std::int64_t>();
    begin.trusted_at_ms = in.get<std::uint64_t>();
    if (!in.ok()) return fail(Error::corrupt);
    return begin;
}

void encode_end(std::vector<std::uint8_t>& out, const CheckpointEnd& end) {
    LittleWriter to(out);
    to.put<std::uint64_t>(end.number);
    to.put<std::uint64_t>(end.frames);
    to.put<std::uint64_t>(end.bytes);
    to.put<std::uint32_t>(static_cast<std::uint32_t>(end.extents.size()));
    to.put<std::uint32_t>(end.parity_bytes);
    for (const CheckpointExtent& extent : end.extents) {
        to.put<std::uint32_t>(extent.segment);
        to.put<std::uint32_t>(extent.salt);
        to.put<std::uint64_t>(extent.generation);
        to.put<std::uint32_t>(extent.from);
        to.put<std::uint32_t>(extent.to);
    }
}

Result<CheckpointEnd> decode_end(ByteView body) {
    LittleReader in(body);
    CheckpointEnd end;
    end.number = in.get<std::uint64_t>();
    end.frames = in.get<std::uint64_t>();
    end.bytes = in.get<std::uint64_t>();
    const auto count = in.get<std::uint32_t>();
    end.parity_bytes = in.get<std::uint32_t>();
    if (!in.ok() || in.left() / 24 < count) return fail(Error::corrupt);
    for (std::uint32_t i = 0; i < count; ++i) {
        CheckpointExtent extent;
        extent.segment = in.get<std::uint32_t>();
        extent.salt = in.get<std::uint32_t>();
        extent.generation = in.get<std::uint64_t>();
        extent.from = in.get<std::uint32_t>();
        extent.to = in.get<std::uint32_t>();
        end.extents.push_back(extent);
    }
    return end;
}

void encode_stream(std::vector<std::uint8_t>& out, const Stream& stream) {
    std::size_t links_in_all = 0;
    Stream::each_links(stream, [&](const auto& links) { links_in_all += links.size(); });
    const std::size_t at = out.size();
    out.resize(at + stream_fixed_bytes + link_bytes * links_in_all);
    InPlace to(out.data() + at);
    to.put<std::int64_t>(stream.state.log_start);
    to.put<std::int64_t>(stream.state.log_end);
    to.put<std::int64_t>(stream.state.bytes);
    to.put<std::int64_t>(stream.state.max_timestamp);
    to.put<std::int64_t>(stream.state.max_timestamp_offset);
    to.put<std::uint32_t>(stream.ordinal);
    Stream::each_links(stream, [&](const auto& links) {
        to.put<std::uint32_t>(static_cast<std::uint32_t>(links.size()));
    });
    Stream::each_links(stream, [&](const auto& links) {
        for (const Link& link : links) put_link(to, link);
    });
}

Result<Stream> decode_stream(ByteView body) {
    LittleReader in(body);
    Stream stream;
    stream.state.log_start = in.get<std::int64_t>();
    stream.state.log_end = in.get<std::int64_t>();
    stream.state.bytes = in.get<std::int64_t>();
    stream.state.max_timestamp = in.get<std::int64_t>();
    stream.state.max_timestamp_offset = in.get<std::int64_t>();
    stream.ordinal = in.get<std::uint32_t>();
    std::uint32_t counts[3];
    for (std::uint32_t& count : counts) count = in.get<std::uint32_t>();
    if (!in.ok() || counts[0] > levels_max || counts[1] > anchors_max || counts[2] > levels_max ||
        stream.state.log_start < 0 || stream.state.log_end < stream.state.log_start)
        return fail(Error::corrupt);
    std::size_t which = 0;
    Stream::each_links(stream, [&](auto& links) {
        links.reserve(counts[which]);
        for (std::uint32_t i = counts[which++]; i > 0; --i) links.push_back(get_link(in));
    });
    if (!in.ok()) return fail(Error::corrupt);
    stream.state.flushed = stream.state.log_end;
    stream.flushed_bytes = stream.state.bytes;
    stream.flushed_max_timestamp = stream.state.max_timestamp;
    stream.flushed_max_timestamp_offset = stream.state.max_timestamp_offset;
    return stream;
}

void encode_segments(std::vector<std::uint8_t>& out, const SegmentTable& table, std::uint32_t first,
                     std::uint32_t count) {
    LittleWriter to(out);
    to.put<std::uint32_t>(first);
    to.put<std::uint32_t>(count);
    for (std::uint32_t i = first; i < first + count; ++i) {
        const SegmentEntry& entry = table[i];
        to.put<std::uint64_t>(entry.generation);
        to.put<std::uint64_t>(entry.place);
        to.put<std::uint64_t>(entry.last_age_ms);
        to.put<std::uint32_t>(entry.salt);
        to.put<std::uint32_t>(entry.data_end);
        to.put<std::uint32_t>(entry.footer_position);
        to.put<std::uint32_t>(entry.batch_bytes);
        // What was replaced is free once this table is durable; survivors that are still being
        // filled are never looked at after a crash.
        const bool replaced = entry.state == SegmentState::replaced;
        const bool records = entry.records && entry.state == SegmentState::sealed;
        to.put<std::uint8_t>(static_cast<std::uint8_t>(replaced ? Area::none : entry.area));
        to.put<std::uint8_t>(
            static_cast<std::uint8_t>(replaced ? SegmentState::free : entry.state));
        to.put<std::uint8_t>(records ? 1 : 0);
        to.pad_to(8);
    }
}

bool decode_segments(ByteView body, SegmentTable& table, std::uint32_t most) {
    LittleReader in(body);
    const auto first = in.get<std::uint32_t>();
    const auto count = in.get<std::uint32_t>();
    if (!in.ok() || count > most || first > most - count || in.left() / 48 < count) return false;
    table.grow(first + count);
    for (std::uint32_t i = first; i < first + count; ++i) {
        SegmentEntry& entry = table[i];
        entry.generation = in.get<std::uint64_t>();
        entry.place = in.get<std::uint64_t>();
        entry.last_age_ms = in.get<std::uint64_t>();
        entry.salt = in.get<std::uint32_t>();
        entry.data_end = in.get<std::uint32_t>();
        entry.footer_position = in.get<std::uint32_t>();
        entry.batch_bytes = in.get<std::uint32_t>();
        const auto area = in.get<std::uint8_t>();
        const auto state = in.get<std::uint8_t>();
        entry.records = in.get<std::uint8_t>() == 1 && area == 2 && state == 2;
        in.skip(5);
        if (area > 2 || state > 3) return false;
        entry.area = static_cast<Area>(area);
        entry.live_bytes = entry.batch_bytes + entry.batch_bytes / 4;  // until a pass looks at it
        entry.state = static_cast<SegmentState>(state);
    }
    return in.ok();
}

}  // namespace leat::log
