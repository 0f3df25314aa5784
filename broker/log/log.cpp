// The door: composes the parts and keeps the order in which they are told things.
#include "broker/log/log_impl.hpp"
#include "broker/log/recovery.hpp"
#include "broker/log/testing.hpp"

namespace leat::log {

Status LogImpl::open(Instant now, WallTime wall) {
    core_.called_at = now;
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
        parts_->ledger.lost(core_.called_at, id, LossReason::damaged, from, to, bytes);
    };
    parts_->cleaner.on_moved = [this] { parts_->retention.restart(core_.called_at); };
    parts_->cleaner.on_superseded = [this](StreamId id, std::uint64_t records, std::int64_t bytes) {
        parts_->ledger.superseded(id, records, bytes, parts_->checkpoints.next_number());
    };
    parts_->cleaner.on_lost = [this](Instant at, StreamId id, Offset from, Offset to,
                                     std::uint64_t bytes) {
        parts_->ledger.not_copied(at, id, from, to, bytes);
    };
    parts_->arrivals.resume(std::move(recovered->arrivals));
    parts_->checkpoints.resume(std::move(recovered->checkpoint));
    if (recovered->checkpoint_wanted) parts_->checkpoints.request();
    for (auto& [id, stream] : core_.streams.all()) stream.prune_anchors();
    parts_->ledger.load();
    for (const SegmentIndex::Lost& lost : recovered->lost)
        if (core_.streams.find(lost.stream) != nullptr)
            parts_->reader.on_damaged(lost.stream, lost.from, lost.to, lost.bytes);
    if (!recovered->fresh && !recovered->sealed) parts_->ledger.count(now, LossReason::cut, 0, 0);
    parts_->ledger.pump(now);  // before the first append: a clipped entry must not come back
    parts_->retention.wake(now);
    return ok();
}

void LogImpl::pump(Instant now) {
    if (!parts_) return;
    if (!core_.read_only && !closing_) {
        raise_ends(now);
        parts_->ledger.pump(now);
    }
    parts_->shrink.pump(now);
    parts_->retention.pump(now);
    parts_->compaction.pump(now);
    if (parts_->compaction.take_wants_checkpoint()) parts_->checkpoints.request();
    parts_->cleaner.pump(now);
    parts_->checkpoints.pump(now);
    parts_->arrivals.pump(now);
    if (!closing_) parts_->zeroing.pump();
    parts_->scrubber.pump(now);
    parts_->checkpoint_scrubber.pump(now);
    parts_->reader.pump(now);
}

void LogImpl::on_storage(Instant now) {
    core_.called_at = now;
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
                core_.reads_given += good ? 1 : 0;
                parts_->cleaner.on_done(now, done->ticket, good);
                break;
            case Owner::scrub:
                core_.reads_given += good ? 1 : 0;
                parts_->scrubber.on_done(now, done->ticket, good);
                parts_->checkpoint_scrubber.on_done(now, done->ticket, good);
                break;
            case Owner::shrink:
                parts_->shrink.on_done(now, done->ticket, good);
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
    core_.called_at = now;
    core_.time.see_wall(now, wall);
    pump(now);
}

Instant LogImpl::deadline() const {
    if (!parts_ || closed()) return never;
    const Instant commit = parts_->arrivals.deadline(core_.called_at);
    return earlier(earlier(commit, parts_->retention.deadline()),
                   earlier(earlier(earlier(parts_->scrubber.deadline(), parts_->shrink.deadline()),
                                   parts_->checkpoint_scrubber.deadline()),
                           earlier(parts_->cleaner.deadline(), parts_->compaction.deadline())));
}

void LogImpl::close(Instant now, WallTime wall) {
    core_.called_at = now;
    closing_ = true;
    if (!parts_) return;
    core_.time.see_wall(now, wall);
    parts_->scrubber.stop();
    parts_->checkpoint_scrubber.stop();
    parts_->shrink.stop();
    parts_->compaction.stop();
    parts_->cleaner.stop();
    parts_->arrivals.seal(now);
}

Log::Room LogImpl::room(StreamId id) const {
    const Stream* stream = core_.streams.find(id);
    const bool reserved = stream != nullptr && stream->state.bytes < core_.reservation(*stream);
    const std::uint32_t kept = reserved ? core_.segments_kept_free() : core_.segments_kept();
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
    status.write_is_slow = parts_ && parts_->arrivals.write_is_slow();
    status.page_bytes = core_.page;
    status.segment_bytes = core_.segment_bytes;
    status.segments = core_.pool;
    status.segments_target = core_.segments.target();
    status.segments_free = core_.segments.free_count();
    status.shrinking = core_.shrinking;
    status.budget_bytes = core_.budget_bytes();
    status.reserved_bytes = core_.reserved_bytes();
    status.segments_kept = core_.segments_kept();
    status.used_bytes =
        std::uint64_t{core_.segments.size() - core_.segments.withheld() - status.segments_free} *
        core_.segment_bytes;
    status.damaged = core_.damaged;
    status.facts_lost = core_.facts_lost;
    status.cut_text = core_.cut_text;
    return status;
}

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
