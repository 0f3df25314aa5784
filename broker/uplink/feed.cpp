// The Runner's reading side: who may read, how much, and what becomes of the batches that were
// read.
#include <algorithm>
#include <utility>

#include "broker/uplink/reencode.hpp"
#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"

namespace leat::uplink {
namespace {

constexpr std::size_t chunk_bytes_min = 16 * KiB;
constexpr std::size_t chunk_bytes_max = 256 * KiB;
constexpr milliseconds read_again{1000};  // after a read that failed for the device's reasons

/// Where in the log the records at `places` of `batch` come from.
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

}  // namespace

std::size_t Runner::chunk_bytes() const {
    return std::clamp<std::size_t>(route_.in_flight_bytes / 16, chunk_bytes_min, chunk_bytes_max);
}

/// So that one large backlog does not starve the others, and a lone one may fill the way.
std::size_t Runner::share_of_tap() const {
    return std::max(chunk_bytes(), route_.in_flight_bytes / 2 / std::max<std::size_t>(behind_, 1));
}

void Runner::make_hungry(Tap& tap) {
    if (tap.hungry) return;
    tap.hungry = true;
    hungry_.push_back(&tap);
}

void Runner::make_all_hungry() {
    for (const auto& [stream, tap] : taps_) make_hungry(*tap);
}

bool Runner::wants_to_read(Instant now, const Tap& tap) const {
    if (tap.reading_into || tap.retry_read_at > now) return false;
    const log::StreamState* state = shared_.log.stream(tap.stream());
    return state != nullptr && tap.read_from() < state->flushed &&
           tap.outstanding_bytes() < share_of_tap() && can_deliver(tap);
}

std::int32_t Runner::broker_of(const Tap& tap) const {
    if (tap.lane == nullptr) return cluster::no_broker;
    return router_.metadata().leader(tap.lane->topic(), tap.lane->partition());
}

/// A broker that dies keeps what its partitions had in flight, for as long as it is away. So each
/// may hold at most twice what it leaves to the others; and whoever holds nothing may read once.
bool Runner::may_hold(std::int32_t broker, std::size_t more) {
    const std::size_t all = route_.in_flight_bytes, held = held_by(broker);
    // A batch larger than all memory of the route still has to go: alone, then.
    if (memory_ == 0) return true;
    const std::size_t left = all > memory_ ? all - memory_ : 0;
    if (router_.metadata().brokers().size() < 2) return more <= left;
    return held == 0 || (more <= left && held + more <= 2 * left);
}

bool Runner::somebody_may_hold(std::size_t more) {
    for (const auto& [broker, endpoint] : router_.metadata().brokers())
        if (may_hold(broker, more)) return true;
    return false;
}

/// Gives memory to the taps that want to read, first come first served.
void Runner::feed(Instant now) {
    if (stopped_) return;
    std::size_t reading = 0;
    for (std::size_t turns = hungry_.size(); turns > 0; --turns) {
        Tap& tap = *hungry_.front();
        if (!wants_to_read(now, tap)) {
            hungry_.pop_front();
            tap.hungry =
                false;  // an acknowledgement, new records or a better link make it hungry again
            continue;
        }
        const std::size_t next = std::max<std::size_t>(chunk_bytes(), tap.bytes_needed);
        const bool may = may_hold(broker_of(tap), next);
        if (!may && !somebody_may_hold(chunk_bytes())) break;
        hungry_.pop_front();
        if (!may) {
            hungry_.push_back(&tap);
            continue;
        }
        tap.hungry = false;
        if (start_read(now, tap)) ++reading;
    }
    if (reading > 0 || hungry_.empty())
        behind_ = std::max<std::size_t>(reads_.size() + hungry_.size(), 1);
}

void Runner::read_later(Instant now, Tap& tap) {
    tap.retry_read_at = now + read_again;
    read_again_at_ = earlier(read_again_at_, tap.retry_read_at);
}

bool Runner::start_read(Instant now, Tap& tap) {
    const log::StreamState* state = shared_.log.stream(tap.stream());
    auto chunk = std::make_shared<Chunk>(memory_, held_by(broker_of(tap)));
    chunk->bytes.resize(std::max<std::size_t>(chunk_bytes(), tap.bytes_needed));
    chunk->count();
    const log::ReadRequest request{
        .stream = tap.stream(), .from = tap.read_from(), .until = state->flushed};
    const Result<log::ReadTicket> ticket = shared_.log.start_read(now, request, chunk->bytes);
    if (!ticket) {
        read_later(now, tap);
        return false;
    }
    tap.ticket = *ticket;
    tap.discard_read = false;
    tap.reading_into = std::move(chunk);
    reads_.emplace(*ticket, &tap);
    return true;
}

bool Runner::on_read(Instant now, const log::ReadDone& done) {
    now_ = now;
    if (orphans_.erase(done.ticket) > 0) return true;
    const auto found = reads_.find(done.ticket);
    if (found == reads_.end()) return false;
    Tap& tap = *found->second;
    reads_.erase(found);
    std::shared_ptr<Chunk> chunk = std::move(tap.reading_into);
    tap.reading_into = nullptr;
    if (!tap.discard_read) {
        if (!done.bytes) {
            read_failed(now, tap, done);
        } else {
            take_read(now, tap, chunk, done);
        }
    }
    chunk = nullptr;  // before others are fed: what nobody took is free now
    tap.discard_read = false;
    make_hungry(tap);
    pump(now);
    return true;
}

void Runner::take_read(Instant now, Tap& tap, const std::shared_ptr<Chunk>& chunk,
                       const log::ReadDone& done) {
    const log::Offset before = tap.read_from();
    const std::size_t count = *done.bytes;
    tap.bytes_needed = 0;
    // A few small batches must not hold a whole chunk while they wait for their answer.
    if (count < chunk->bytes.size() / 2) {
        chunk->bytes.resize(count);
        chunk->bytes.shrink_to_fit();
        chunk->count();
    }
    if (count > 0)
        hand_out(now, tap, chunk, ByteView(chunk->bytes).first(count));
    else if (done.next > before)
        pass_over_hole(now, tap, done.next);  // offsets that hold nothing
    // Whatever the log meant by it, asking again at once would be a loop.
    if (tap.read_from() == before) read_later(now, tap);
}

void Runner::read_failed(Instant now, Tap& tap, const log::ReadDone& done) {
    const std::string where = tap.topic() + "-" + std::to_string(tap.partition());
    const log::StreamState* state = shared_.log.stream(tap.stream());
    switch (done.bytes.error()) {
        case Error::too_large:
            tap.bytes_needed = done.needed;
            return;
        case Error::not_found:
            // Deleted on request (DeleteRecords) before it was delivered.
            if (state != nullptr && state->log_start > tap.read_from()) {
                counts_.lost_records +=
                    static_cast<std::uint64_t>(state->log_start - tap.read_from());
                tell(Event::Level::warn, where + ": records " + std::to_string(tap.read_from()) +
                                             " to " + std::to_string(state->log_start - 1) +
                                             " were deleted before they were delivered");
                pass_over_hole(now, tap, state->log_start);
                return;
            }
            break;
        case Error::corrupt:
            if (done.next > tap.read_from()) {
                counts_.lost_records += static_cast<std::uint64_t>(done.next - tap.read_from());
                tell(Event::Level::error, where + ": records " + std::to_string(tap.read_from()) +
                                              " to " + std::to_string(done.next - 1) +
                                              " are damaged on the device and cannot be delivered");
                pass_over_hole(now, tap, done.next);
                return;
            }
            break;
        default:
            break;
    }
    problem("read " + where, Event::Level::error,
            where + " cannot be read (" + error_text(done.bytes.error()) +
                "): check the device; it is tried again");
    read_later(now, tap);
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

/// Nothing up to `next` is for anybody upstream.
void Runner::pass_over(Instant now, Tap& tap, log::Offset next) {
    if (tap.part_done(tap.add_pending(next, 0, 0)))
        shared_.cursors.move(now, index_, tap.stream(), tap.cursor(),
                             shared_.cursors.sent_as(index_, tap.stream()));
}

/// The earlier life may have found records there, and have counted them.
void Runner::pass_over_hole(Instant now, Tap& tap, log::Offset next) {
    if (tap.lane != nullptr) tap.lane->limit_doubt(tap.read_from());
    pass_over(now, tap, next);
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
    if (route_.headers) rules.gateway_id = shared_.gateway_id;
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
    if (parts->empty()) pass_over(now, tap, next);
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
