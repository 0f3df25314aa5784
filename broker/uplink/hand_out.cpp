// What becomes of the batches that the Runner has read: whole or in parts, they go to lanes.
#include <algorithm>
#include <utility>

#include "broker/uplink/reencode.hpp"
#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {

std::vector<OffsetRange> offsets_of(const Outgoing& batch, std::span<const OffsetRange> places) {
    std::vector<OffsetRange> all = batch.memory->offsets, out;
    if (all.empty()) all.push_back({batch.base, batch.base + batch.source.record_count});
    for (const OffsetRange& place : places) {
        std::int64_t at = 0;  // the place of the range's first record
        for (const OffsetRange& range : all) {
            const std::int64_t from = std::max(place.from, at) - at + range.from;
            const std::int64_t to = std::min(range.to, place.to - at + range.from);
            if (from < to) out.push_back({from, to});
            at += range.to - range.from;
        }
    }
    return out;
}

void Runner::hand_out(Instant now, Tap& tap, const std::shared_ptr<Chunk>& chunk,
                      ByteView batches) {
    if (!problems_.empty())
        solved("read " + tap.topic() + "-" + std::to_string(tap.partition()),
               tap.topic() + " can be read again");
    std::vector<wire::BatchView> run;
    std::size_t run_bytes = 0;
    std::size_t merge_bytes = route_.merge_bytes;
    if (tap.lane != nullptr)
        merge_bytes = std::min<std::size_t>(merge_bytes, tap.lane->batch_bytes_max());
    const auto send_run = [&] {
        if (!run.empty()) send(now, tap, run, chunk);
        run.clear();
        run_bytes = 0;
    };
    while (!batches.empty()) {
        const Result<wire::BatchView> batch = wire::BatchView::parse(batches);
        if (!batch) break;  // the log hands out whole batches; what is not one is read again
        batches = batches.subspan(batch->whole().size());
        const wire::BatchHeader& header = batch->header();
        if (header.next_offset() <= tap.read_from()) continue;
        if (header.is_control() || header.record_count <= 0) {
            send_run();
            pass_over(now, tap, header.next_offset());
            continue;
        }
        const std::size_t bytes = batch->whole().size();
        const bool joins = !run.empty() && run_bytes + bytes <= merge_bytes &&
                           header.codec() == run.front().codec() &&
                           header.is_log_append_time() == run.front().header().is_log_append_time();
        if (!joins) send_run();
        run.push_back(*batch);
        run_bytes += bytes;
    }
    send_run();
}

void Runner::send(Instant now, Tap& tap, std::span<const wire::BatchView> run,
                  const std::shared_ptr<Chunk>& chunk) {
    const wire::BatchHeader& first = run.front().header();
    const bool fits = tap.lane == nullptr || first.record_count < 2 ||
                      run.front().whole().size() <= tap.lane->batch_bytes_max();
    const bool as_it_is = run.size() == 1 && fits && !route_.headers &&
                          route_.mapping != config::Route::Mapping::by_key &&
                          first.base_offset >= tap.read_from();
    if (as_it_is && may_go_whole(first))
        send_whole(now, tap, run.front(), chunk, Cuts::allowed);
    else
        send_parts(now, tap, run, chunk);
}

std::int32_t Runner::partition_for(const Tap& tap) const {
    if (tap.lane != nullptr) return tap.lane->partition();
    const cluster::TopicInfo* topic = router_.metadata().find(upstream_name(route_, tap.topic()));
    const auto count = topic == nullptr ? 0 : static_cast<std::int32_t>(topic->partitions.size());
    return count > 0 ? tap.partition() % count : 0;
}

Outgoing Runner::outgoing(Instant now, Tap& tap, Part& part) {
    auto memory = std::make_shared<Chunk>(memory_, held_by(broker_of(tap)));
    memory->bytes = std::move(part.records);
    memory->bytes.shrink_to_fit();
    memory->offsets = std::move(part.offsets);
    memory->offsets.shrink_to_fit();
    memory->count();
    Outgoing out;
    out.source = {.ticket = 0,
                  .records = memory->bytes,
                  .attributes = part.header.attributes,
                  .last_offset_delta = part.header.last_offset_delta,
                  .base_timestamp = part.header.base_timestamp,
                  .max_timestamp = part.header.max_timestamp,
                  .record_count = part.header.record_count,
                  .created = now};
    out.memory = std::move(memory);
    out.tap = &tap;
    return out;
}

void Runner::send_whole(Instant now, Tap& tap, const wire::BatchView& batch,
                        const std::shared_ptr<Chunk>& chunk, Cuts cuts) {
    const wire::BatchHeader& header = batch.header();
    Outgoing out;
    out.source = {.ticket = 0,
                  .records = batch.records(),
                  .attributes = static_cast<std::int16_t>(header.codec()),
                  .last_offset_delta = header.last_offset_delta,
                  .base_timestamp = header.base_timestamp,
                  .max_timestamp = header.max_timestamp,
                  .record_count = header.record_count,
                  .created = now};
    out.memory = chunk;
    out.tap = &tap;
    out.base = header.base_offset;
    out.next = header.next_offset();
    out.pending = tap.add_pending(header.next_offset(), 1, batch.whole().size());
    Lane& lane = tap.lane != nullptr
                     ? *tap.lane
                     : lane_to(now, upstream_name(route_, tap.topic()), partition_for(tap));
    out.whole_only = cuts == Cuts::none;
    lane.add(std::move(out));
}

void Runner::send_parts(Instant now, Tap& tap, std::span<const wire::BatchView> run,
                        const std::shared_ptr<Chunk>& chunk) {
    const std::string name = upstream_name(route_, tap.topic());
    ReencodeRules rules{
        .partition_count = 0, .partition = partition_for(tap), .gateway_id = std::nullopt};
    if (route_.mapping == config::Route::Mapping::by_key) {
        const cluster::TopicInfo* topic = router_.metadata().find(name);
        if (topic != nullptr)
            rules.partition_count = static_cast<std::int32_t>(topic->partitions.size());
    }
    std::size_t returned = 0;
    if (route_.headers) {
        rules.gateway_id = shared_.gateway_id;
        rules.returned = &returned;
    }
    rules.from_offset = tap.read_from();  // the cursor may stand inside a batch that went in parts
    std::size_t run_bytes = 0;
    for (const wire::BatchView& batch : run) run_bytes += batch.records().size();
    if (tap.lane != nullptr) {
        const std::size_t most = tap.lane->batch_bytes_max();
        rules.to_bytes = most > wire::batch_header_size ? most - wire::batch_header_size : 0;
        rules.of_bytes = run_bytes;
    }
    Result<std::vector<Part>> parts = reencode(run, rules);
    if (!parts) {
        // They cannot be taken apart, but somebody upstream may: better whole than never.
        tell(Event::Level::warn,
             tap.topic() + "-" + std::to_string(tap.partition()) + ": the batch at offset " +
                 std::to_string(run.front().header().base_offset) + " cannot be taken apart (" +
                 error_text(parts.error()) + ") and goes upstream as it is");
        for (const wire::BatchView& batch : run) send_whole(now, tap, batch, chunk, Cuts::none);
        return;
    }
    const log::Offset next = run.back().header().next_offset();
    if (returned > 0) {
        counts_.returned_records += returned;
        problem(returned_key(tap.topic()), Event::Level::error, returned_text(tap.topic()));
    }
    if (parts->empty()) return pass_over(now, tap, next);
    const auto size_of = [](const Part& part) {
        return part.records.size() + wire::batch_header_size;
    };
    if (tap.lane == nullptr) {  // by key: done when all are
        std::size_t bytes = 0;
        for (const Part& part : *parts) bytes += size_of(part);
        const std::uint64_t pending =
            tap.add_pending(next, static_cast<std::uint32_t>(parts->size()), bytes);
        for (Part& part : *parts) {
            Lane& lane = lane_to(now, name, part.partition);
            Outgoing out = outgoing(now, tap, part);
            out.pending = pending;
            out.base = run.front().header().base_offset;
            if (&part == &parts->back()) out.next = next;
            put(lane, std::move(out));
        }
        return;
    }
    for (Part& part : *parts) {
        const log::Offset end = &part == &parts->back() ? next : part.offsets.back().to;
        const std::uint64_t pending = tap.add_pending(end, 1, size_of(part));
        Outgoing out = outgoing(now, tap, part);
        out.pending = pending;
        out.base = out.memory->offsets.front().from;
        out.next = end;
        tap.lane->add(std::move(out));
    }
}

/// Into a lane by key, in parts if it is larger than what the upstream is known to take.
void Runner::put(Lane& lane, Outgoing out) {
    if (out.bytes() <= lane.batch_bytes_max() || out.source.record_count < 2 || out.tap == nullptr)
        return lane.add(std::move(out));
    Result<std::vector<Part>> parts = split(out.source, lane.batch_bytes_max());
    if (!parts) {
        out.whole_only = true;
        return lane.add(std::move(out));
    }
    out.tap->add_parts(out.pending, static_cast<std::uint32_t>(parts->size() - 1));
    for (Part& part : *parts) {
        const std::vector<OffsetRange> places = std::exchange(part.offsets, {});
        part.offsets = offsets_of(out, places);
        Outgoing piece = outgoing(out.source.created, *out.tap, part);
        piece.pending = out.pending;
        piece.base = out.base;
        if (&part == &parts->back()) piece.next = out.next;
        lane.add(std::move(piece));
    }
}

}  // namespace leat::uplink
