// The one Log there is: the parts, and the order in which they are told things. log.cpp starts,
// drives and stops it; log_streams.cpp is about streams, log_write.cpp about what is put in.
#pragma once

#include <map>

#include "broker/log/ledger.hpp"
#include "broker/log/log.hpp"
#include "broker/log/scrub_checkpoint.hpp"
#include "broker/log/shrink.hpp"
#include "broker/log/upkeep.hpp"
#include "broker/log/zeroing.hpp"

namespace leat::log {

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
                           !parts_->scrubber.busy() && !parts_->checkpoint_scrubber.busy() &&
                           !parts_->shrink.busy() && !parts_->zeroing.busy());
    }

    void on_storage(Instant now) override;
    void on_deadline(Instant now, WallTime wall) override;
    Instant deadline() const override;

    Status declare_stream(StreamId id, StreamPolicy policy) override;
    bool room_for_streams(std::size_t more) const override { return core_.room_for_streams(more); }
    void drop_stream(StreamId id) override;
    const StreamState* stream(StreamId id) const override;
    void for_each_stream(const std::function<void(StreamId)>& visit) const override {
        for (const auto& [id, stream] : core_.streams.all()) visit(id);
    }
    void set_release(StreamId id, Offset upto) override;
    Result<CommitId> set_log_start(Instant now, StreamId id, Offset offset) override;
    Result<CommitId> raise_log_end(Instant now, StreamId id, Offset offset) override;
    void enter_loss(Instant now, StreamId id, LossReason why, Offset from, Offset to,
                    std::uint64_t bytes) override;

    Result<Appended> append(Instant now, WallTime wall, const AppendRequest& request) override;
    std::uint32_t max_batch_bytes() const override { return core_.max_batch_bytes(); }
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

    Result<ReadTicket> start_read(Instant now, const ReadRequest& request,
                                  MutableBytes into) override {
        core_.called_at = now;
        if (!parts_) return fail(Error::closed);
        return parts_->reader.start_read(request, into);
    }
    void cancel_read(ReadTicket ticket) override {
        if (parts_) parts_->reader.cancel(ticket);
    }
    std::optional<ReadDone> poll_read() override {
        return parts_ ? parts_->reader.poll_read() : std::nullopt;
    }
    Result<ReadTicket> start_find_time(Instant now, StreamId id, std::int64_t target) override {
        core_.called_at = now;
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
    bool wall_may_be_ahead() const override { return !core_.time.settled(); }
    bool wall_may_be_behind() const override { return core_.time.may_be_behind(); }

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
              scrubber(core, arrivals, reader),
              checkpoint_scrubber(core, checkpoints),
              shrink(core, arrivals, checkpoints, cleaner, compaction) {
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
        CheckpointScrubber checkpoint_scrubber;
        Shrinker shrink;
    };
    Status room_for(FrameType type, std::size_t body, Urgency urgency);
    Result<CommitId> offset_frame(Instant now, FrameType type, StreamId id, Offset offset);
    Result<CommitId> raise_end(Instant now, StreamId id, Stream& stream, Offset end);
    void raise_ends(Instant now);
    Result<CommitId> write_fact(Instant now, FactKind kind, ByteView key,
                                std::optional<ByteView> value, milliseconds may_wait);
    void pump(Instant now);

    Core core_;
    RecordTimes record_times_;
    std::unique_ptr<Parts> parts_;
    std::map<StreamId, Offset> raise_to_;  ///< log ends that are to be raised, until they are
    std::string error_text_;
    bool closing_ = false;
};

}  // namespace leat::log
