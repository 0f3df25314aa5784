// A device that is far away: how often a reader waits for it, how much it asks of it, and how long
// that would take one that is slow.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>

#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {

/// What is read comes with the next turn, all of it at once. What was asked for between two turns
/// and lies side by side, or nearly so, is one request, as in sdk/host/file_storage.
class Distant final : public leat::test::StorageOver {
public:
    explicit Distant(port::Storage& device) : StorageOver(device) {}
    std::uint64_t dead_from = 0, dead_to = 0;  ///< reads of anything in here fail
    std::uint64_t refused = 0;
    double busy_us = 0;  ///< of an eMMC: 0.3 ms for a request, 20 MB/s

    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        const bool dead = at < dead_to && dead_from < at + into.size();
        refused += dead ? 1 : 0;
        reads_[ticket] = dead;
        const bool joins = asked_ && at >= end_ && at - end_ <= 16 * KiB && joined_ < 32;
        joined_ = joins ? joined_ + 1 : 1;
        busy_us += joins ? static_cast<double>(at - end_) / 20 : 300;
        busy_us += static_cast<double>(into.size()) / 20;
        end_ = at + into.size();
        asked_ = true;
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        while (auto done = below_.poll_done()) {
            const auto read = reads_.extract(done->ticket);
            if (!read) return done;
            if (read.mapped()) done->status = fail(Error::storage);
            on_the_way_.push_back(*done);
        }
        if (here_.empty()) return std::nullopt;
        const port::StorageDone done = here_.front();
        here_.pop_front();
        return done;
    }
    void wait_done() override { turn(); }
    void turn() {
        asked_ = false;
        if (auto done = poll_done()) here_.push_front(*done);  // what is under way below is known
        here_.insert(here_.end(), on_the_way_.begin(), on_the_way_.end());
        on_the_way_.clear();
    }

private:
    std::map<std::uint64_t, bool> reads_;  ///< under way; whether it fails
    std::deque<port::StorageDone> on_the_way_, here_;
    std::uint64_t end_ = 0;
    std::size_t joined_ = 0;
    bool asked_ = false;  ///< since the last turn
};

constexpr std::uint64_t far_segment = 2 * MiB;
constexpr std::uint64_t far_size(std::uint64_t segments) {
    return 32 * KiB + segments * far_segment;
}

inline LogConfig far_config(std::uint32_t cache = 2 * MiB) {
    LogConfig config;
    config.segment_bytes = far_segment;
    config.commit_interval = milliseconds(0);
    config.recent_bytes = 64 * KiB;
    config.cache_bytes = cache;
    return config;
}

/// So many bytes of stream 1 in batches of this size, those of other streams in between.
inline std::uint64_t fill_far(SimStorage& device, StreamId streams, std::size_t batch_bytes,
                              std::uint64_t own_bytes = 12 * MiB) {
    Rig rig(device, far_config());
    REQUIRE(rig.open());
    for (StreamId id = 1; id <= streams; ++id) REQUIRE(rig.log->declare_stream(id, {}));
    std::uint64_t own = 0;
    for (StreamId id = 1; own < own_bytes; id = id % streams + 1) {
        const BatchSpec spec{.size = batch_bytes - batch_header_bytes, .salt = own};
        while (!rig.append(id, spec)) rig.settle();
        if (id == 1) own += batch_bytes;
    }
    rig.settle();
    rig.close();
    return own;
}

struct Far {
    SimStorage& device;
    Distant distant;
    SimEntropy entropy{9};
    std::unique_ptr<Log> log;
    Instant now = instant_ms(1'000'000);
    std::uint64_t turns = 0;

    explicit Far(SimStorage& near, std::uint32_t cache = 2 * MiB) : device(near), distant(near) {
        log = make_log(distant, entropy, far_config(cache));
        REQUIRE(log->open(now, wall_ms(1'800'000'000'000)));
        turn();
        turns = 0;
    }
    void turn() {
        ++turns;
        distant.turn();
        log->on_storage(now);
    }
    ReadDone ask(StreamId stream, Offset at, MutableBytes into) {
        REQUIRE(log->start_read(now, {.stream = stream, .from = at, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        for (int i = 0; i < 10'000 && !(done = log->poll_read()); ++i) turn();
        REQUIRE(done);
        return *done;
    }
    /// The bytes of one read, which begins at `at` and moves it on.
    std::size_t read(StreamId stream, Offset& at, MutableBytes into) {
        const ReadDone done = ask(stream, at, into);
        REQUIRE(done.bytes);
        for (ByteView left = into.first(*done.bytes); !left.empty();) {
            const ByteView batch = next_batch(left);
            REQUIRE(batch_crc_ok(batch));
            REQUIRE(read_batch_fields(batch)->base_offset == at);
            at = read_batch_fields(batch)->end_offset();
        }
        return *done.bytes;
    }
    struct Drained {
        std::uint64_t bytes = 0, reads = 0, turns = 0, asked = 0;
        double busy_us = 0;
        double for_each_byte() const {
            return static_cast<double>(asked) / static_cast<double>(bytes);
        }
        double mb_per_s() const { return static_cast<double>(bytes) / busy_us; }
    };
    /// Stream 1 from its start.
    Drained drain(std::size_t answer_bytes) {
        std::vector<std::uint8_t> into(answer_bytes);
        Drained all;
        const std::uint64_t before = turns, asked = device.counts().bytes_read;
        const double busy = distant.busy_us;
        for (Offset at = 0; at < log->stream(1)->flushed; ++all.reads)
            all.bytes += read(1, at, into);
        all.turns = turns - before;
        all.asked = device.counts().bytes_read - asked;
        all.busy_us = distant.busy_us - busy;
        return all;
    }
};

}  // namespace leat::log::test
