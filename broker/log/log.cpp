// The door: composes the parts and keeps the order in which they are told things.
#include "broker/log/log.hpp"

#include <algorithm>

#include "broker/log/ledger.hpp"
#include "broker/log/recovery.hpp"
#include "broker/log/scrub.hpp"
#include "broker/log/testing.hpp"
#include "broker/log/upkeep.hpp"
#include "broker/log/zeroing.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

class LogImpl final : public Log {
public:
    LogImpl(port::Storage& storage, port::Entropy& entropy, LogConfig config,
            RecordTimes record_times, RecordFilter record_filter, SeededFaults faults = {})
        : core_(storage, entropy, std::move(config)), record_times_(std::move(record_times)) {
        core_.record_filter = std::move(record_filter);
        core_.faults = faults;
    }

    Status open(Instant now, WallTime wall) override;
    const std::string& open_error_text() const override { return error_text_; }
    void close(Instant now, WallTime wall) override;
    bool closed() const override {
        return !parts_ || (closing_ && parts_->arrivals.sealed() &&
                           !parts_->checkpoints.writing() && !parts_->cleaner.busy() &&
                           !parts_->scrubber.busy() && core_.segments.zeroing == no_segment);
    }

    void on_storage(Instant now) override;
    void on_deadline(Instant now, WallTime wall) override;
    Instant deadline() const override;

    Status declare_stream(StreamId id, StreamPolicy policy) override;
    void drop_stream(StreamId id) override;
    const StreamState* stream(StreamId id) const override {
        const Stream* found = core_.streams.find(id);
        return found == nullptr ? nullptr : &found->state;
    }
    void for_each_stream(const std::function<void(StreamId)>& visit) const override {
        for (const auto& [id, stream] : core_.streams.all()) visit(id);
    }
    void set_release(StreamId id, Offset upto) override;
    Result<CommitId> set_log_start(Instant now, StreamId id, Offset offset) override;
    Result<CommitId> raise_log_end(Instant now, StreamId id, Offset offset) override;
    void enter_loss(Instant now, StreamId id, LossReason why, Offset from, Offset to,
                    std::uint64_t bytes) override;

    Result<Appended> append(Instant now, WallTime wall, const AppendRequest& request) override;
    std::uint32_t max_batch_bytes() const override { return core_.segment_bytes / 2; }
    const ProducerState* producer(StreamId id, std::int64_t producer_id) const override {
        return core_.producers.find(id, producer_id);
    }
    void for_each_producer(
        StreamId id,
        const std::function<void(std::int64_t, const ProducerState&)>& visit) const override {
        const auto& all = core_.producers.all();
        for (auto at = all.lower_bound({id, INT64_MIN}); at != all.end() && at->first.stream == id;
             ++at)
            visit(at->first.producer_id, at->second.producer.state);
    }
    Result<CommitId> put_fact(Instant now, FactKind kind, ByteView key, ByteView value) override;
    Result<CommitId> put_fact_lazily(Instant now, FactKind kind, ByteView key,
                                     ByteView value) override;
    Result<CommitId> erase_fact(Instant now, FactKind kind, ByteView key) override;
    std::optional<ByteView> find_fact(FactKind kind, ByteView key) const override;
    void for_each_fact(FactKind kind,
                       const std::function<void(ByteView, ByteView)>& visit) const override;
    void flush_soon(Instant now) override;
    CommitId open_commit() const override { return core_.next_id; }
    CommitId flushed_commit() const override { return core_.flushed_id; }
    std::optional<RolledBack> poll_rolled_back() override {
        return parts_ ? parts_->arrivals.take_rolled_back() : std::nullopt;
    }

    Result<ReadTicket> start_read(Instant, const ReadRequest& request, MutableBytes into) override {
        if (!parts_) return fail(Error::closed);
        return parts_->reader.start_read(request, into);
    }
    void cancel_read(ReadTicket ticket) override {
        if (parts_) parts_->reader.cancel(ticket);
    }
    std::optional<ReadDone> poll_read() override {
        return parts_ ? parts_->reader.poll_read() : std::nullopt;
    }
    Result<ReadTicket> start_find_time(Instant, StreamId id, std::int64_t target) override {
        if (!parts_) return fail(Error::closed);
        return parts_->reader.start_find_time(id, target);
    }
    std::optional<TimeDone> poll_find_time() override {
        return parts_ ? parts_->reader.poll_find_time() : std::nullopt;
    }

    Books books(StreamId id) const override { return parts_ ? parts_->ledger.books(id) : Books{}; }
    LogStatus status() const override;
    Room room(StreamId id) const override;
    const LogCounters& counters() const override { return core_.counters; }
    milliseconds log_time(Instant now) const override {
        return milliseconds(static_cast<std::int64_t>(core_.time.log_ms(now)));
    }
    bool wall_trusted() const override { return core_.time.trusted(); }

private:
    struct Parts {
        Parts(Core& core, RecordTimes record_times)
            : arrivals(core),
              checkpoints(core, arrivals),
              reader(core, arrivals, std::move(record_times)),
              ledger(core, arrivals),
              compaction(core, reader),
              cleaner(core, checkpoints, reader.footers(), compaction),
              retention(core, arrivals, checkpoints, ledger, reader.footers(), cleaner),
              zeroing(core, arrivals),
              scrubber(core, reader) {
            arrivals.on_footer = [this](std::uint32_t segment, ByteView footer) {
                reader.footers().put(segment, footer);
            };
            arrivals.on_rolled_back = [this] { ledger.rolled_back(); };
        }
        Arrivals arrivals;
        CheckpointWriter checkpoints;
        Reader reader;
        Ledger ledger;
        Compactor compaction;
        Cleaner cleaner;
        Retention retention;
        Zeroing zeroing;
        Scrubber scrubber;
    };
    Status room_for(FrameType type, std::size_t body, Urgency urgency);
    Result<CommitId> offset_frame(Instant now, FrameType type, StreamId id, Offset offset);
    Result<CommitId> write_fact(Instant now, FactKind kind, ByteView key,
                                std::optional<ByteView> value, milliseconds may_wait);
    void pump(Instant now);

    Core core_;
    RecordTimes record_times_;
    std::unique_ptr<Parts> parts_;
    std::string error_text_;
    Instant now_{};
    bool closing_ = false;
};

Status LogImpl::open(Instant now, WallTime wall) {
    now_ = now;
    core_.geometry = core_.storage.geometry();
    if (core_.geometry.write_size == 0 ||
        core_.config.page_bytes % core_.geometry.write_size != 0) {
        error_text_ = "the device writes in units of " + std::to_string(core_.geometry.write_size) +
                      " bytes, which do not divide the page of " +
                      std::to_string(core_.config.page_bytes);
        return fail(Error::invalid);
    }
    Result<Recovered> recovered = recover(core_, now, wall, error_text_);
    if (!recovered) {
        if (error_text_.empty())
            error_text_ = std::string("the log cannot be read: ") + error_text(recovered.error());
        return fail(recovered.error());
    }
    parts_ = std::make_unique<Parts>(core_, record_times_);
    parts_->reader.on_damaged = [this](StreamId id, Offset from, Offset to, std::uint64_t bytes) {
        parts_->ledger.lost(now_, id, LossReason::damaged, from, to, bytes);
    };
    parts_->cleaner.on_moved = [this] { parts_->retention.restart(now_); };
    parts_->cleaner.on_superseded = [this](StreamId id, std::uint64_t records, std::int64_t bytes) {
        parts_->ledger.superseded(id, records, bytes);
    };
    parts_->arrivals.resume(std::move(recovered->arrivals));
    parts_->checkpoints.resume(std::move(recovered->checkpoint));
    for (auto& [id, stream] : core_.streams.all()) stream.prune_anchors();
    parts_->ledger.load();
    if (!recovered->fresh && !recovered->sealed) parts_->ledger.cut(now);
    parts_->ledger.pump(now);  // before the first append: a clipped entry must not come back
    parts_->retention.wake(now);
    return ok();
}

void LogImpl::pump(Instant now) {
    if (!parts_) return;
    if (!core_.read_only && !closing_) parts_->ledger.pump(now);
    parts_->retention.pump(now);
    parts_->compaction.pump(now);
    parts_->cleaner.pump(now);
    parts_->checkpoints.pump(now);
    parts_->arrivals.pump(now);
    if (!closing_) parts_->zeroing.pump();
    parts_->scrubber.pump(now);
}

void LogImpl::on_storage(Instant now) {
    now_ = now;
    if (!parts_) return;
    while (const auto done = core_.storage.poll_done()) {
        const bool good = static_cast<bool>(done->status);
        switch (Core::owner_of(done->ticket)) {
            case Owner::arrivals:
                parts_->arrivals.on_write_done(now, done->ticket, good);
                break;
            case Owner::checkpoint:
                parts_->checkpoints.on_write_done(now, done->ticket, good);
                break;
            case Owner::superblock:
                parts_->checkpoints.on_superblock_done(now, done->ticket, good);
                break;
            case Owner::cleaner:
                parts_->cleaner.on_done(now, done->ticket, good);
                break;
            case Owner::scrub:
                parts_->scrubber.on_done(now, done->ticket, good);
                break;
            case Owner::zeroing:
                parts_->zeroing.on_done(good);
                break;
            case Owner::reads:
                parts_->reader.on_read_done(done->ticket, good);
                break;
        }
    }
    pump(now);
    parts_->reader.step_all();
}

void LogImpl::on_deadline(Instant now, WallTime wall) {
    now_ = now;
    core_.time.see_wall(now, wall);
    pump(now);
}

Instant LogImpl::deadline() const {
    if (!parts_ || closed()) return never;
    return earlier(earlier(parts_->arrivals.deadline(now_), parts_->retention.deadline()),
                   earlier(parts_->scrubber.deadline(),
                           earlier(parts_->cleaner.deadline(), parts_->compaction.deadline())));
}

void LogImpl::close(Instant now, WallTime wall) {
    now_ = now;
    closing_ = true;
    if (!parts_) return;
    core_.time.see_wall(now, wall);
    parts_->scrubber.stop();
    parts_->compaction.stop();
    parts_->cleaner.stop();
    parts_->arrivals.seal(now);
}

Status LogImpl::declare_stream(StreamId id, StreamPolicy policy) {
    Stream* known = core_.streams.find(id);
    if (known == nullptr && core_.streams.size() >= core_.config.streams_max)
        return fail(Error::full);
    Stream& stream = known != nullptr ? *known : core_.streams.make(id);
    if (stream.policy.reserved_bytes > 0) std::erase(core_.reserving, id);
    if (policy.reserved_bytes > 0) core_.reserving.push_back(id);
    stream.policy = policy;
    // Whatever the books say: damage may have taken them back to before a compaction.
    stream.has_gaps = stream.has_gaps || policy.compact;
    stream.declared = true;
    if (parts_) parts_->retention.wake(now_);
    return ok();
}

void LogImpl::drop_stream(StreamId id) {
    if (!parts_ || core_.streams.find(id) == nullptr) return;
    core_.streams.erase(id);
    std::erase(core_.reserving, id);
    core_.producers.forget_stream(id);
    CommitId commit = 0;
    if (parts_->arrivals.room_for(FrameType::dropped, 0, Urgency::upkeep))
        (void)parts_->arrivals.add(now_, FrameType::dropped, id, 0, commit);
    parts_->ledger.forget(now_, id);
    parts_->retention.wake(now_);
}

void LogImpl::set_release(StreamId id, Offset upto) {
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr || stream->state.release == upto) return;
    stream->state.release = upto;
    // Only when room is short does a release matter before the next pass.
    if (parts_ && core_.low_on_room()) parts_->retention.wake(now_ + milliseconds(50));
}

Status LogImpl::room_for(FrameType type, std::size_t body, Urgency urgency) {
    if (!parts_) return fail(Error::closed);
    if (body > core_.segment_bytes) return fail(Error::too_large);
    const Status room = parts_->arrivals.room_for(type, static_cast<std::uint32_t>(body), urgency);
    if (!room && room.error() == Error::full) {
        ++core_.counters.append_rejected_full;
        parts_->retention.wake_for_room(now_);
    }
    return room;
}

Result<CommitId> LogImpl::offset_frame(Instant now, FrameType type, StreamId id, Offset offset) {
    if (const Status room = room_for(type, 8, Urgency::fact); !room) return fail(room.error());
    CommitId commit = 0;
    store_little<std::int64_t>(parts_->arrivals.add(now, type, id, 8, commit).data(), offset);
    return commit;
}

Result<CommitId> LogImpl::set_log_start(Instant now, StreamId id, Offset offset) {
    now_ = now;
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return fail(Error::not_found);
    if (offset > stream->state.flushed) return fail(Error::invalid);
    if (!parts_) return fail(Error::closed);
    if (offset <= stream->state.log_start) {
        if (stream->log_start_id == not_durable) return fail(Error::storage);
        return stream->log_start_id;
    }
    // Batches it ends inside of stay whole on flash: bytes in proportion.
    const Result<CommitId> commit =
        parts_->ledger.raise_log_start(now, id, *stream, offset, stream->bytes_before(offset),
                                       Freed::deleted, std::nullopt, Urgency::upkeep);
    if (!commit) return commit;
    stream->prune_anchors();
    parts_->retention.wake(now);
    return commit;
}

Result<CommitId> LogImpl::raise_log_end(Instant now, StreamId id, Offset offset) {
    now_ = now;
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return fail(Error::not_found);
    if (offset <= stream->state.log_end) return stream->log_end_id;
    const Offset old_end = stream->state.log_end;
    const bool empty = stream->state.log_start == old_end;
    const Result<CommitId> commit = offset_frame(now, FrameType::log_end, id, offset);
    if (!commit) return commit;
    stream->state.log_end = offset;
    stream->log_end_id = *commit;
    parts_->ledger.lost(now, id, LossReason::raised, old_end, offset, 0);
    if (!empty) return commit;
    // Without room the start stays behind a gap, which readers step over.
    const Result<CommitId> start = parts_->ledger.raise_log_start(
        now, id, *stream, offset, 0, Freed::deleted, std::nullopt, Urgency::fact);
    return start ? start : commit;
}

void LogImpl::enter_loss(Instant now, StreamId id, LossReason why, Offset from, Offset to,
                         std::uint64_t bytes) {
    now_ = now;
    const Stream* stream = core_.streams.find(id);
    if (stream == nullptr || !parts_ || closing_) return;
    parts_->ledger.lost(now, id, why, from, std::min(to, stream->state.log_end), bytes);
    // Now, if there is room: the fact that makes it true (a cursor behind it) comes next.
    if (!core_.read_only) parts_->ledger.pump(now);
}

Result<Appended> LogImpl::append(Instant now, WallTime wall, const AppendRequest& request) {
    now_ = now;
    if (!parts_ || closing_) return fail(Error::closed);
    if (core_.read_only) return fail(Error::storage);
    Stream* stream = core_.streams.find(request.stream);
    if (stream == nullptr) return fail(Error::not_found);
    const Result<BatchFields> checked = read_batch_fields(request.batch);
    if (!checked || checked->total_bytes != request.batch.size()) return fail(Error::malformed);
    if (request.batch.size() > max_batch_bytes()) return fail(Error::too_large);
    if (stream->state.log_end > INT64_MAX - checked->last_offset_delta - 2)
        return fail(Error::too_large);
    const Urgency urgency =
        stream->state.bytes < core_.reservation(*stream) ? Urgency::reserved : Urgency::data;
    if (const Status room = room_for(FrameType::append, request.batch.size(), urgency); !room)
        return fail(room.error());
    core_.time.see_wall(now, wall);

    Appended appended;
    appended.base_offset = stream->state.log_end;
    const MutableBytes body =
        parts_->arrivals.add(now, FrameType::append, request.stream,
                             static_cast<std::uint32_t>(request.batch.size()), appended.commit);
    copy_bytes(request.batch, body);
    store_big<std::int64_t>(body.data(), appended.base_offset);
    store_big<std::int32_t>(body.data() + 12, core_.super.leader_epoch);
    if (request.log_append_time) {
        store_big<std::int16_t>(body.data() + 21,
                                static_cast<std::int16_t>(checked->attributes | 8));
        store_big<std::int64_t>(body.data() + 35,
                                request.log_append_time->time_since_epoch().count());
        store_big<std::uint32_t>(body.data() + 17,
                                 crc32c(0, ByteView(body).subspan(outside_kafka_crc)));
    }
    const BatchFields fields = *read_batch_fields(body);
    StreamState& state = stream->state;
    state.log_end = fields.end_offset();
    stream->log_end_id = appended.commit;
    state.bytes += static_cast<std::int64_t>(body.size());
    if (fields.max_timestamp > state.max_timestamp) {
        state.max_timestamp = fields.max_timestamp;
        state.max_timestamp_offset = fields.base_offset + fields.last_offset_delta;
    }
    if (fields.producer_id >= 0 && fields.base_sequence >= 0)
        core_.producers.on_batch(request.stream, fields, appended.commit, core_.time.age_ms(now));
    return appended;
}

Result<CommitId> LogImpl::write_fact(Instant now, FactKind kind, ByteView key,
                                     std::optional<ByteView> value, milliseconds may_wait) {
    now_ = now;
    if (!parts_ || closing_) return fail(Error::closed);
    if (core_.read_only) return fail(Error::storage);
    const Fact* old = core_.facts.find(Facts::key_of(static_cast<std::uint8_t>(kind), key));
    if (value && old != nullptr && equal(bytes_of(old->value), *value)) {
        if (may_wait == milliseconds(0) && old->id > core_.flushed_id) parts_->arrivals.hasten(now);
        return old->id;
    }
    const std::size_t body = fact_body_bytes + key.size() + (value ? value->size() : 0);
    // All facts live in RAM and in every checkpoint, so they are bounded, each and together.
    if (key.size() > 4096 || body > core_.segment_bytes / 8) return fail(Error::too_large);
    const std::uint64_t budget = std::uint64_t{core_.segments.size()} * core_.segment_bytes / 16;
    // What is replaced makes room: with all of it taken, positions that stand still move on.
    const std::uint64_t replaced = old != nullptr ? 1 + key.size() + old->value.size() : 0;
    if (value && core_.facts.bytes() - replaced + body > budget &&
        body > replaced + fact_body_bytes)
        return fail(Error::full);
    const FrameType type = value ? FrameType::fact : FrameType::fact_erased;
    // What is erased makes room, so it may have the last of it.
    const Urgency urgency = value ? Urgency::fact : Urgency::upkeep;
    if (const Status room = room_for(type, body, urgency); !room) return fail(room.error());
    CommitId commit = 0;
    const MutableBytes into = parts_->arrivals.add_at(now, now + may_wait, type, 0,
                                                      static_cast<std::uint32_t>(body), commit);
    encode_fact_body({static_cast<std::uint8_t>(kind), 0, key, value ? *value : ByteView{}}, into);
    core_.facts.put(Facts::key_of(static_cast<std::uint8_t>(kind), key),
                    value ? std::optional<std::string>(std::string(text_of(*value))) : std::nullopt,
                    commit);
    return commit;
}

Result<CommitId> LogImpl::put_fact(Instant now, FactKind kind, ByteView key, ByteView value) {
    return write_fact(now, kind, key, value, milliseconds(0));
}
Result<CommitId> LogImpl::put_fact_lazily(Instant now, FactKind kind, ByteView key,
                                          ByteView value) {
    return write_fact(now, kind, key, value, lazy_wait);
}
Result<CommitId> LogImpl::erase_fact(Instant now, FactKind kind, ByteView key) {
    return write_fact(now, kind, key, std::nullopt, milliseconds(0));
}

std::optional<ByteView> LogImpl::find_fact(FactKind kind, ByteView key) const {
    const Fact* fact = core_.facts.find(Facts::key_of(static_cast<std::uint8_t>(kind), key));
    if (fact == nullptr) return std::nullopt;
    return bytes_of(fact->value);
}

void LogImpl::for_each_fact(FactKind kind,
                            const std::function<void(ByteView, ByteView)>& visit) const {
    const std::string prefix(1, static_cast<char>(kind));
    const auto& all = core_.facts.all();
    for (auto it = all.lower_bound(prefix); it != all.end() && it->first[0] == prefix[0]; ++it)
        visit(bytes_of(it->first).subspan(1), bytes_of(it->second.value));
}

void LogImpl::flush_soon(Instant now) {
    now_ = now;
    if (parts_) parts_->arrivals.flush_soon();
}

Log::Room LogImpl::room(StreamId id) const {
    const Stream* stream = core_.streams.find(id);
    const bool reserved = stream != nullptr && stream->state.bytes < core_.reservation(*stream);
    const std::uint32_t kept = reserved ? segments_kept_free : core_.segments_kept();
    const std::uint32_t free = core_.segments.free_count();
    const std::uint64_t open =
        parts_ && free >= kept && parts_->arrivals.segment() != no_segment
            ? core_.segment_bytes - std::min(core_.segment_bytes, parts_->arrivals.position())
            : 0;
    // Retention frees what it may before that: who keeps up with his link is not slowed down.
    const std::uint64_t low =
        std::uint64_t{core_.segments_low() - core_.segments_kept()} * core_.segment_bytes / 4 * 3;
    return {.left = open + std::uint64_t{free - std::min(free, kept)} * core_.segment_bytes +
                    core_.droppable_bytes,
            .low = low};
}

LogStatus LogImpl::status() const {
    LogStatus status;
    status.log_id = log_id_text(core_.super.log_id);
    status.parent_log_id = log_id_text(core_.super.parent_log_id);
    status.start_count = core_.super.start_count;
    status.leader_epoch = core_.super.leader_epoch;
    status.was_sealed = core_.was_sealed;
    status.foreign_device = core_.foreign_device;
    status.read_only = core_.read_only;
    status.segment_bytes = core_.segment_bytes;
    status.segments = core_.segments.size();
    status.segments_free = core_.segments.free_count();
    status.budget_bytes = std::uint64_t{core_.segments.size()} * core_.segment_bytes;
    status.reserved_bytes = core_.reserved_bytes();
    status.segments_kept = core_.segments_kept();
    status.used_bytes = std::uint64_t{status.segments - status.segments_free} * core_.segment_bytes;
    status.damaged = core_.damaged;
    status.cut_text = core_.cut_text;
    return status;
}

}  // namespace

std::unique_ptr<Log> make_log(port::Storage& storage, port::Entropy& entropy, LogConfig config,
                              RecordTimes record_times, RecordFilter record_filter) {
    return std::make_unique<LogImpl>(storage, entropy, std::move(config), std::move(record_times),
                                     std::move(record_filter));
}

std::unique_ptr<Log> make_faulty_log(port::Storage& storage, port::Entropy& entropy,
                                     LogConfig config, SeededFaults faults,
                                     RecordFilter record_filter) {
    return std::make_unique<LogImpl>(storage, entropy, std::move(config), RecordTimes{},
                                     std::move(record_filter), faults);
}

}  // namespace leat::log
