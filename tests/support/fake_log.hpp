// A log::Log in memory whose commits the test finishes by hand: what it holds back is not durable,
// not readable and not acknowledged. It knows no device and no recovery; the real log has its own
// tests.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "broker/log/log.hpp"
#include "broker/topics/record_times.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::test {

class FakeLog : public log::Log {
public:
    // -- the test's handles -----------------------------------------------------------------------
    bool auto_flush = true;  ///< every group is durable as soon as on_storage is called
    std::size_t group_batches_max = 1'000'000;  ///< more in an open group: would_block
    bool is_full = false;
    std::size_t group_facts_max = 1'000'000;  ///< more in an open group: would_block
    std::size_t group_erases_max = 1'000'000;  ///< the same of facts that are erased
    bool facts_full = false;  ///< records fill it so that no fact has room, either
    std::uint64_t budget_bytes = std::uint64_t{1} << 30;
    std::uint32_t segment_bytes = 0;
    bool is_read_only = false;
    bool lazy_waits = false;  ///< what is put lazily waits for the next append or fact
    std::uint64_t lazy_facts = 0, hurried_facts = 0;
    bool hold_reads = false;  ///< reads finish at release_reads()
    log::Offset hurt_from = INT64_MAX;  ///< of every stream, up to its end, as long as it is so
    bool trusted = true;
    std::uint32_t batch_bytes_max = 512 * 1024;
    std::uint32_t streams_max = 10'000;
    std::size_t streams_remembered_max = 1'000'000;
    milliseconds flush_within{};  ///< of the last append
    int flush_soon_calls = 0;
    std::int32_t leader_epoch = 0;  ///< of this run

    /// The open group becomes durable (on_storage publishes it).
    void flush() {
        flushed_to_ = open_++;
        touched_ = false;
        undo_.clear();
        producers_before_.clear();
    }
    /// The open group is given up.
    void give_up() {
        const log::CommitId lost = open_++;
        rolled_back_.push_back({lost - 1, lost});
        open_batches_ = open_facts_ = open_erases_ = 0;
        touched_ = false;
        for (; !undo_.empty(); undo_.pop_back()) {
            auto& [key, before] = undo_.back();
            cursor_commits_.erase(key);
            if (before)
                facts_[key] = *before;
            else
                facts_.erase(key);
        }
        for (; !producers_before_.empty(); producers_before_.pop_back()) {
            const auto& [id, producer_id, before] = producers_before_.back();
            const auto at = streams_.find(id);
            if (at == streams_.end()) continue;
            if (before.count > 0)
                at->second.producers[producer_id] = before;
            else
                at->second.producers.erase(producer_id);
        }
        for (auto& [id, stream] : streams_) {
            while (!stream.batches.empty() && stream.batches.back().commit == lost) {
                stream.state.log_end = stream.batches.back().base;
                stream.batches.pop_back();
            }
        }
    }
    void release_reads() {
        for (auto& done : held_) done_.push_back(done);
        held_.clear();
    }
    std::size_t reads_started = 0;
    std::size_t read_room = 0;  ///< of the last

    // -- log::Log ---------------------------------------------------------------------------------
    Status open(Instant, WallTime) override { return ok(); }
    const std::string& open_error_text() const override { return text_; }
    void close(Instant, WallTime) override {
        flush();
        publish();
        closed_ = true;
    }
    bool closed() const override { return closed_; }
    void on_storage(Instant) override {
        if (auto_flush && has_open()) flush();
        publish();
    }
    void on_deadline(Instant, WallTime) override {}
    Instant deadline() const override { return never; }

    Status declare_stream(log::StreamId id, log::StreamPolicy policy) override {
        if (streams_.size() >= streams_max) return fail(Error::full);
        streams_[id].policy = policy;
        return ok();
    }
    bool room_for_streams(std::size_t more) const override {
        return streams_.size() + more <= streams_remembered_max;
    }
    void drop_stream(log::StreamId id) override { streams_.erase(id); }
    void for_each_stream(const std::function<void(log::StreamId)>& visit) const override {
        for (const auto& [id, stream] : streams_) visit(id);
    }
    const log::StreamState* stream(log::StreamId id) const override {
        const auto at = streams_.find(id);
        return at == streams_.end() ? nullptr : &at->second.state;
    }
    void set_release(log::StreamId id, log::Offset upto) override {
        streams_[id].state.release = upto;
    }
    Result<log::CommitId> set_log_start(Instant, log::StreamId id, log::Offset offset) override {
        Stream& stream = streams_.at(id);
        if (offset <= stream.state.log_start) return published_;
        const log::Offset all = stream.state.log_end - stream.state.log_start;
        stream.state.bytes -= stream.state.bytes * (offset - stream.state.log_start) / all;
        stream.state.log_start = offset;
        touched_ = true;
        return open_;
    }
    Result<log::CommitId> raise_log_end(Instant, log::StreamId id, log::Offset offset) override {
        Stream& stream = streams_.at(id);
        stream.state.log_end = stream.state.flushed = stream.state.log_start = offset;
        return open_;
    }

    std::map<log::StreamId, std::vector<log::Loss>> losses;  ///< as they were entered
    void enter_loss(Instant, log::StreamId id, log::LossReason why, log::Offset from,
                    log::Offset to, std::uint64_t bytes) override {
        losses[id].push_back({.from = from, .to = to, .bytes = bytes, .reason = why});
    }

    Result<log::Appended> append(Instant, WallTime, const log::AppendRequest& request) override {
        const auto at = streams_.find(request.stream);
        if (at == streams_.end()) return fail(Error::not_found);
        if (is_read_only) return fail(Error::storage);
        if (is_full) return fail(Error::full);
        if (request.batch.size() > batch_bytes_max) return fail(Error::too_large);
        if (open_batches_ >= group_batches_max) return fail(Error::would_block);
        ride();
        flush_within = request.flush_within;
        ++open_batches_;
        touched_ = true;
        Stream& stream = at->second;
        Batch batch{.base = stream.state.log_end,
                    .commit = open_,
                    .bytes = {request.batch.begin(), request.batch.end()}};
        wire::BatchHeader header = wire::read_batch_header(batch.bytes.data());
        header.base_offset = batch.base;
        header.partition_leader_epoch = leader_epoch;
        if (request.log_append_time) {
            header.attributes =
                static_cast<std::int16_t>(header.attributes | wire::attribute::log_append_time);
            header.max_timestamp = request.log_append_time->time_since_epoch().count();
        }
        wire::seal_batch_header(header, ByteView(batch.bytes).subspan(wire::batch_header_size),
                                batch.bytes.data());
        stream.state.log_end += header.last_offset_delta + 1;
        stream.state.bytes += static_cast<std::int64_t>(batch.bytes.size());
        if (header.max_timestamp > stream.state.max_timestamp) {
            stream.state.max_timestamp = header.max_timestamp;
            stream.state.max_timestamp_offset = header.last_offset();
        }
        if (header.producer_id >= 0) {
            log::ProducerState& producer = stream.producers[header.producer_id];
            producers_before_.emplace_back(request.stream, header.producer_id, producer);
            if (producer.epoch != header.producer_epoch)
                producer = {.epoch = header.producer_epoch, .count = 0, .last = {}};
            if (producer.count == 5) {
                for (int i = 1; i < 5; ++i) producer.last[i - 1] = producer.last[i];
                producer.count = 4;
            }
            producer.last[producer.count++] = {
                .first_sequence = header.base_sequence,
                .last_sequence =
                    wire::next_sequence(header.base_sequence, header.last_offset_delta),
                .base_offset = batch.base,
                .timestamp = request.log_append_time ? header.max_timestamp : -1,
                .commit = open_};
        }
        stream.batches.push_back(std::move(batch));
        return log::Appended{stream.batches.back().base, open_};
    }
    std::uint32_t max_batch_bytes() const override { return batch_bytes_max; }
    const log::ProducerState* producer(log::StreamId id, std::int64_t producer_id) const override {
        const auto at = streams_.find(id);
        if (at == streams_.end()) return nullptr;
        const auto found = at->second.producers.find(producer_id);
        return found == at->second.producers.end() ? nullptr : &found->second;
    }

    void for_each_producer(
        log::StreamId id,
        const std::function<void(std::int64_t, const log::ProducerState&)>& visit) const override {
        const auto at = streams_.find(id);
        if (at == streams_.end()) return;
        for (const auto& [producer_id, state] : at->second.producers) visit(producer_id, state);
    }

    Result<log::CommitId> put_fact(Instant, log::FactKind kind, ByteView key,
                                   ByteView value) override {
        if (is_read_only) return fail(Error::storage);
        const FactKey place{kind, {key.begin(), key.end()}};
        if (kind == log::FactKind::cursor)  // the uplink asks by it what is durable
            if (const auto at = facts_.find(place); at != facts_.end() && equal(at->second, value))
                return cursor_commits_[place];
        if (facts_full) return fail(Error::busy);
        if (open_facts_ >= group_facts_max) return fail(Error::would_block);
        ride();
        ++open_facts_;
        ++hurried_facts;
        remember(kind, key);
        facts_[place] = {value.begin(), value.end()};
        if (kind == log::FactKind::cursor) cursor_commits_[place] = open_;
        touched_ = true;
        return open_;
    }
    Result<log::CommitId> put_fact_lazily(Instant now, log::FactKind kind, ByteView key,
                                          ByteView value) override {
        if (!lazy_waits || is_read_only) return put_fact(now, kind, key, value);
        ++lazy_facts;
        lazy_[{kind, {key.begin(), key.end()}}] = {value.begin(), value.end()};
        return open_;
    }
    /// What was put lazily and had nothing to ride with is gone.
    void lose_lazy() { lazy_.clear(); }
    Result<log::CommitId> erase_fact(Instant, log::FactKind kind, ByteView key) override {
        if (is_read_only) return fail(Error::storage);
        if (open_erases_ >= group_erases_max) return fail(Error::would_block);
        ride();
        ++open_erases_;
        remember(kind, key);
        facts_.erase({kind, {key.begin(), key.end()}});
        touched_ = true;
        return open_;
    }
    std::optional<ByteView> find_fact(log::FactKind kind, ByteView key) const override {
        const auto at = facts_.find({kind, {key.begin(), key.end()}});
        if (at == facts_.end()) return std::nullopt;
        return ByteView(at->second);
    }
    void for_each_fact(log::FactKind kind,
                       const std::function<void(ByteView, ByteView)>& visit) const override {
        for (const auto& [key, value] : facts_)
            if (key.first == kind) visit(key.second, value);
    }
    void flush_soon(Instant) override { ++flush_soon_calls; }

    /// As in the log: above the id of any append there is.
    log::CommitId open_commit() const override { return open_ + (touched_ ? 1 : 0); }
    log::CommitId flushed_commit() const override { return published_; }
    std::optional<RolledBack> poll_rolled_back() override {
        if (rolled_back_.empty()) return std::nullopt;
        const RolledBack lost = rolled_back_.front();
        rolled_back_.pop_front();
        return lost;
    }

    Result<log::ReadTicket> start_read(Instant, const log::ReadRequest& request,
                                       MutableBytes into) override {
        ++reads_started;
        read_room = into.size();
        log::ReadDone done{
            .ticket = ++ticket_, .bytes = std::size_t{0}, .next = request.from, .needed = 0};
        const auto at = streams_.find(request.stream);
        if (at == streams_.end() || request.from < at->second.state.log_start ||
            request.from > at->second.state.log_end) {
            done.bytes = fail(Error::not_found);
        } else if (request.from >= hurt_from) {
            done.bytes = fail(Error::corrupt);
            done.next = at->second.state.log_end;
        } else {
            std::size_t size = 0;
            for (const Batch& batch : at->second.batches) {
                const wire::BatchHeader header = wire::read_batch_header(batch.bytes.data());
                if (header.next_offset() <= request.from || batch.base >= request.until) continue;
                if (batch.base >= hurt_from) break;
                if (batch.bytes.size() > into.size() - size) {
                    if (size == 0) {
                        done.bytes = fail(Error::too_large);
                        done.needed = static_cast<std::uint32_t>(batch.bytes.size());
                    }
                    break;
                }
                copy_bytes(batch.bytes, into.subspan(size));
                size += batch.bytes.size();
                done.next = header.next_offset();
            }
            if (size > 0) done.bytes = size;
        }
        (hold_reads ? held_ : done_).push_back(done);
        return done.ticket;
    }
    void cancel_read(log::ReadTicket ticket) override {
        for (auto at = held_.begin(); at != held_.end(); ++at)
            if (at->ticket == ticket) {
                at->bytes = fail(Error::closed);
                done_.push_back(*at);
                held_.erase(at);
                return;
            }
    }
    std::optional<log::ReadDone> poll_read() override {
        if (done_.empty()) return std::nullopt;
        const log::ReadDone done = done_.front();
        done_.pop_front();
        return done;
    }
    Result<log::ReadTicket> start_find_time(Instant, log::StreamId id,
                                            std::int64_t target) override {
        log::TimeDone done;
        done.ticket = ++ticket_;
        const Stream& stream = streams_.at(id);
        for (const Batch& batch : stream.batches) {
            const wire::BatchHeader header = wire::read_batch_header(batch.bytes.data());
            if (batch.base >= stream.state.flushed || header.max_timestamp < target) continue;
            const auto found =
                topics::find_record_time(batch.bytes, target, stream.state.log_start);
            if (!found) continue;
            done.found = *found;
            break;
        }
        found_.push_back(done);
        return done.ticket;
    }
    std::optional<log::TimeDone> poll_find_time() override {
        if (found_.empty()) return std::nullopt;
        const log::TimeDone done = found_.front();
        found_.pop_front();
        return done;
    }

    /// A segment is freed, as by retention: no commit tells of it.
    void free_room() {
        is_full = false;
        ++counters_.segments_recycled;
    }

    log::Books books(log::StreamId) const override { return {}; }
    Room room_left{.left = 1000, .low = 100};
    Room room(log::StreamId) const override { return room_left; }
    log::LogStatus status() const override {
        log::LogStatus status;
        status.leader_epoch = leader_epoch;
        status.budget_bytes = budget_bytes;
        status.segment_bytes = segment_bytes;
        return status;
    }
    const log::LogCounters& counters() const override { return counters_; }
    milliseconds log_time(Instant now) const override { return now.time_since_epoch(); }
    bool wall_trusted() const override { return trusted; }
    bool wall_may_be_ahead() const override { return !trusted; }
    bool wall_may_be_behind() const override { return !trusted; }

private:
    struct Batch {
        log::Offset base;
        log::CommitId commit;
        std::vector<std::uint8_t> bytes;
    };
    struct Stream {
        log::StreamPolicy policy;
        log::StreamState state;
        std::vector<Batch> batches;
        std::map<std::int64_t, log::ProducerState> producers;
    };
    using FactKey = std::pair<log::FactKind, std::vector<std::uint8_t>>;
    bool has_open() const { return touched_; }
    /// What was put lazily goes with what is put now.
    void ride() {
        for (auto& [key, value] : lazy_) {
            remember(key.first, key.second);
            facts_[key] = std::move(value);
            cursor_commits_[key] = open_;
        }
        lazy_.clear();
    }
    void remember(log::FactKind kind, ByteView key) {
        const FactKey one{kind, {key.begin(), key.end()}};
        const auto at = facts_.find(one);
        undo_.emplace_back(one, at == facts_.end()
                                    ? std::nullopt
                                    : std::optional<std::vector<std::uint8_t>>(at->second));
    }
    void publish() {
        if (flushed_to_ <= published_) return;
        published_ = flushed_to_;
        open_batches_ = open_facts_ = open_erases_ = 0;
        touched_ = false;
        for (auto& [id, stream] : streams_)
            for (const Batch& batch : stream.batches)
                if (batch.commit <= published_)
                    stream.state.flushed =
                        std::max(stream.state.flushed,
                                 wire::read_batch_header(batch.bytes.data()).next_offset());
    }

    std::map<log::StreamId, Stream> streams_;
    std::map<FactKey, std::vector<std::uint8_t>> facts_, lazy_;
    std::map<FactKey, log::CommitId> cursor_commits_;  // of the last write; none: durable
    std::vector<std::pair<FactKey, std::optional<std::vector<std::uint8_t>>>> undo_;
    std::vector<std::tuple<log::StreamId, std::int64_t, log::ProducerState>> producers_before_;
    std::deque<log::ReadDone> done_, held_;
    std::deque<log::TimeDone> found_;
    std::deque<RolledBack> rolled_back_;
    log::CommitId open_ = 1, flushed_to_ = 0, published_ = 0;
    log::ReadTicket ticket_ = 0;
    std::size_t open_batches_ = 0, open_facts_ = 0, open_erases_ = 0;
    bool touched_ = false, closed_ = false;
    std::string text_;
    log::LogCounters counters_;
};

}  // namespace leat::test
