// A log under pressure: it is full, its device fails for a while, the power goes; and the model
// of what was promised. Whatever happens, what was acknowledged is there or in the books, these add up,
// and when the pressure ends each stream is served again.
#pragma once

#include <deque>
#include <set>

#include "tests/log/keyed.hpp"
#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {

/// A device that can be away: what is asked of it then fails. What its writes leave is torn.
class Away final : public leat::test::StorageOver {
public:
    explicit Away(SimStorage& device) : StorageOver(device), device_(device) {}
    bool writes = false, reads = false;

    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (writes) device_.fail_next(0, 1);
        return below_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (reads) failing_.insert(ticket);
        return below_.start_read(ticket, at, into);
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override {
        if (writes) failing_.insert(ticket);
        return below_.start_erase(ticket, at, size);
    }
    std::optional<port::StorageDone> poll_done() override {
        auto done = below_.poll_done();
        if (done && failing_.erase(done->ticket) > 0) done->status = fail(Error::storage);
        return done;
    }

private:
    SimStorage& device_;
    std::set<std::uint64_t> failing_;
};

/// What is sent to one stream, and what became of it so far.
struct PressedStream {
    StreamPolicy policy;
    bool routed = false;  ///< else only age, bytes and deletes free it
    struct Sent {
        Offset base = 0, end = 0;
        CommitId commit = 0;
        std::vector<std::uint8_t> bytes;
    };
    std::deque<Sent> batches;
    std::vector<Sent> given_up;  ///< may still be found as long as nothing was written since
    /// Of a compacted one, and what stood there before a record that came after it was given up.
    std::map<Offset, KeyedValue> keyed, keyed_before;
    Offset start_seen = 0;
    bool drops() const { return policy.when_full == WhenFull::drop_oldest; }
};

class Pressure {
public:
    Pressure(std::uint64_t seed, std::uint32_t segments, LogConfig config = small_config())
        : random(seed),
          device({.seed = seed, .size = 32 * KiB + std::uint64_t{segments} * small_segment}),
          config_(config) {}

    SimRandom random;
    SimStorage device;
    Away away{device};
    std::optional<Rig> rig;
    std::map<StreamId, PressedStream> streams;
    std::string wrong;  ///< the first thing that was
    std::uint64_t taken = 0, refused_full = 0, refused_storage = 0, rolled_back = 0, restarts = 0;

    void add(StreamId id, StreamPolicy policy, bool routed) {
        streams[id].policy = policy;
        streams[id].routed = routed;
        if (rig) declare(id);
    }
    void start() {
        rig.emplace(device, config_, SeededFaults{}, device.counts().writes + 7);
        rig->now = now_;
        rig->wall = wall_;
        rig->log = make_faulty_log(away, rig->entropy, config_, {}, topics::filter_records);
        if (!rig->open()) return fail("does not open: " + rig->log->open_error_text());
        for (const auto& [id, stream] : streams) declare(id);
        after_start();
        pass(0);
    }
    /// The power goes now, whatever is under way, and comes back.
    void cut() {
        follow();
        flushed_ = rig->log->flushed_commit();
        end_run();
        device.power_cycle();
        start();
    }
    void stop_and_start() {
        follow();
        rig->close();
        follow();
        flushed_ = rig->log->flushed_commit();
        end_run();
        device.power_cycle();
        start();
    }
    void pass(std::int64_t ms) {
        rig->pass(ms);
        follow();
    }
    bool read_only() const { return rig->log->status().read_only; }

    Result<Appended> append(StreamId id, std::size_t size) {
        PressedStream& stream = streams[id];
        PressedStream::Sent sent;
        std::vector<KeyedValue> records;
        ++serial_;
        if (stream.policy.compact) {
            for (std::uint64_t i = 0, count = 1 + random.below(4); i < count; ++i) {
                KeyedValue& record = records.emplace_back();
                record.key = "key-" + std::to_string(random.below(12));
                record.timestamp = static_cast<std::int64_t>(serial_) * 10;
                if (random.chance(10)) continue;
                record.value = std::to_string(serial_) + std::string(size / count, 'v');
            }
            sent.bytes = make_keyed_batch({.records = records});
        } else {
            sent.bytes = make_batch({.count = 1 + static_cast<std::uint32_t>(serial_ % 3),
                                     .size = size,
                                     .salt = serial_});
        }
        const auto appended =
            rig->log->append(rig->at(), wall_ms(rig->wall),
                             {.stream = id, .batch = sent.bytes, .log_append_time = {}});
        if (!appended) {
            ++(appended.error() == Error::full ? refused_full : refused_storage);
            if (appended.error() == Error::would_block) pass(0);
            return appended;
        }
        ++taken;
        sent.base = appended->base_offset;
        sent.end = rig->log->stream(id)->log_end;
        sent.commit = appended->commit;
        for (std::size_t i = 0; i < records.size(); ++i) {
            KeyedValue& here = stream.keyed[sent.base + static_cast<Offset>(i)];
            if (!stream.given_up.empty())
                stream.keyed_before[sent.base + static_cast<Offset>(i)] = std::move(here);
            here = std::move(records[i]);
        }
        stream.batches.push_back(std::move(sent));
        return appended;
    }
    bool append_durably(StreamId id, std::size_t size) {
        const auto appended = append(id, size);
        if (!appended) return false;
        pass(0);
        return rig->log->flushed_commit() >= appended->commit;
    }
    void deliver_all() {
        for (const auto& [id, stream] : streams)
            if (stream.routed) rig->log->set_release(id, rig->log->stream(id)->flushed);
    }
    /// Milliseconds until each stream has taken a record; none: `patience` was not enough.
    std::optional<std::int64_t> serves_again(std::int64_t patience) {
        const std::int64_t began = rig->now;
        for (const auto& [id, stream] : streams)
            while (!append_durably(id, 1'000)) {
                if (rig->now - began >= patience) {
                    fail("stream " + std::to_string(id) + " is not served: " + text());
                    return std::nullopt;
                }
                deliver_all();
                pass(100);
            }
        return rig->now - began;
    }
    std::string text() const {
        const LogStatus status = rig->log->status();
        return std::to_string(status.segments_free) + " of " + std::to_string(status.segments) +
               " free" + (status.read_only ? ", read only" : "") + ", " +
               std::to_string(rig->log->counters().write_errors) + " write errors";
    }
    void check();  ///< all of it, against the books and the bytes; only while reads come

private:
    void fail(const std::string& what) {
        if (wrong.empty()) wrong = what;
    }
    void declare(StreamId id) {
        const PressedStream& stream = streams[id];
        (void)rig->log->declare_stream(id, stream.policy);
        rig->log->set_release(id, stream.routed ? stream.start_seen : INT64_MAX);
    }
    void end_run() {
        now_ = rig->now + 1'000;
        wall_ = rig->wall + 1'000;
        rig.reset();
        ++restarts;
    }
    void follow();
    void after_start();
    void check_stream(StreamId id, PressedStream& stream);
    bool is_sent(PressedStream& stream, std::size_t& at, ByteView got);

    LogConfig config_;
    std::int64_t now_ = 1'000'000, wall_ = 1'800'000'000'000;
    std::uint64_t serial_ = 0;
    CommitId flushed_ = 0;
};

}  // namespace leat::log::test
