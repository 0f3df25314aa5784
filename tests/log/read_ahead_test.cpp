// A device that is far away: how often a reader waits for it, and how much it asks of it.
#include <doctest/doctest.h>

#include <array>
#include <deque>
#include <set>

#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// What is read comes with the next turn, all of it at once.
class Distant final : public leat::test::StorageOver {
public:
    explicit Distant(SimStorage& device) : StorageOver(device) {}
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        reads_.insert(ticket);
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        while (auto done = below_.poll_done()) {
            if (reads_.erase(done->ticket) == 0) return done;
            on_the_way_.push_back(*done);
        }
        if (here_.empty()) return std::nullopt;
        const port::StorageDone done = here_.front();
        here_.pop_front();
        return done;
    }
    void wait_done() override { turn(); }
    void turn() {
        if (auto done = poll_done()) here_.push_front(*done);  // what is under way below is known
        here_.insert(here_.end(), on_the_way_.begin(), on_the_way_.end());
        on_the_way_.clear();
    }

private:
    std::set<std::uint64_t> reads_;
    std::deque<port::StorageDone> on_the_way_, here_;
};

constexpr std::uint64_t own_bytes = 12 * MiB;

LogConfig config_of(std::uint32_t cache = 2 * MiB) {
    LogConfig config;
    config.segment_bytes = 2 * MiB;
    config.commit_interval = milliseconds(0);
    config.recent_bytes = 64 * KiB;
    config.cache_bytes = cache;
    return config;
}

/// own_bytes of stream 1 in batches of this size, those of other streams in between.
std::uint64_t fill(SimStorage& device, StreamId streams, std::size_t batch_bytes) {
    Rig rig(device, config_of());
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
        log = make_log(distant, entropy, config_of(cache));
        REQUIRE(log->open(now, wall_ms(1'800'000'000'000)));
        turn();
        turns = 0;
    }
    void turn() {
        ++turns;
        distant.turn();
        log->on_storage(now);
    }
    /// The bytes of one read, which begins at `at` and moves it on.
    std::size_t read(StreamId stream, Offset& at, MutableBytes into) {
        REQUIRE(log->start_read(now, {.stream = stream, .from = at, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        for (int i = 0; i < 1'000 && !(done = log->poll_read()); ++i) turn();
        REQUIRE(done);
        REQUIRE(done->bytes);
        for (ByteView left = into.first(*done->bytes); !left.empty();) {
            const ByteView batch = next_batch(left);
            REQUIRE(batch_crc_ok(batch));
            REQUIRE(read_batch_fields(batch)->base_offset == at);
            at = read_batch_fields(batch)->end_offset();
        }
        return *done->bytes;
    }
    struct Drained {
        std::uint64_t bytes = 0, reads = 0, turns = 0, asked = 0;
        double for_each_byte() const {
            return static_cast<double>(asked) / static_cast<double>(bytes);
        }
    };
    /// Stream 1 from its start.
    Drained drain(std::size_t answer_bytes) {
        std::vector<std::uint8_t> into(answer_bytes);
        Drained all;
        const std::uint64_t before = turns, asked = device.counts().bytes_read;
        for (Offset at = 0; at < log->stream(1)->flushed; ++all.reads)
            all.bytes += read(1, at, into);
        all.turns = turns - before;
        all.asked = device.counts().bytes_read - asked;
        return all;
    }
};

}  // namespace

TEST_CASE("read ahead: who reads on in order waits once for a megabyte, across segments, too") {
    for (const std::size_t batch : {4'000, 100'000, 1'000'000}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
        const std::uint64_t own = fill(device, 1, batch);
        Far far(device);
        const auto drained = far.drain(1 * MiB);
        INFO("batches of ", batch, ": ", drained.reads, " reads, ", drained.turns, " turns, ",
             drained.for_each_byte(), " read for each byte");
        CHECK(drained.bytes == own);
        CHECK(drained.turns <= drained.reads + drained.reads / 2 + 4);
        CHECK(drained.for_each_byte() < 1.05);
    }
}

TEST_CASE("read ahead: while a reader takes an answer the next one comes into memory whole") {
    for (const std::size_t batch : {4'000, 100'000, 1'000'000}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
        (void)fill(device, 1, batch);
        Far far(device);
        std::vector<std::uint8_t> into(1 * MiB);
        Offset at = 0;
        (void)far.read(1, at, into);
        std::uint64_t waits = 0;
        for (int i = 0; i < 5; ++i) {
            (void)far.read(1, at, into);
            for (int takes = 0; takes < 3; ++takes) far.turn();  // a footer, then blocks
            const std::uint64_t before = far.turns;
            (void)far.read(1, at, into);
            waits += far.turns - before;
        }
        INFO("batches of ", batch);
        CHECK(waits <= 2);  // for a footer on the way from an anchor, once each
    }
}

TEST_CASE("read ahead: who reads in small steps is ahead of the device as well") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
    const std::uint64_t own = fill(device, 1, 4'000);
    Far far(device);
    const auto drained = far.drain(16 * KiB);
    INFO(drained.turns, " turns");
    CHECK(drained.bytes == own);
    CHECK(drained.turns <= own / (64 * KiB) / 2);
    CHECK(drained.for_each_byte() < 1.05);
}

TEST_CASE("read ahead: of one stream among many those blocks are read in which its batches are") {
    for (const std::size_t batch : {60'000, 200'000}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 64 * 2 * MiB});
        const std::uint64_t own = fill(device, 8, batch);
        Far far(device);
        const auto drained = far.drain(1 * MiB);
        INFO("batches of ", batch, ": ", drained.reads, " reads, ", drained.turns, " turns, ",
             drained.for_each_byte(), " read for each byte");
        CHECK(drained.bytes == own);
        CHECK(drained.turns <= 6 * drained.reads);
        CHECK(drained.for_each_byte() < (batch == 60'000 ? 2.2 : 1.6));
    }
}

TEST_CASE("read ahead: readers in different places take nothing from each other") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
    const std::uint64_t own = fill(device, 1, 10'000);
    Far far(device);
    std::vector<std::uint8_t> into(256 * KiB);
    const Offset end = far.log->stream(1)->flushed;
    std::array<Offset, 4> at{0, end / 4, end / 2, end / 4 * 3};
    const std::uint64_t asked = device.counts().bytes_read;
    std::uint64_t bytes = 0;
    while (at[3] < end)
        for (Offset& one : at) bytes += far.read(1, one, into);
    const std::uint64_t given = device.counts().bytes_read - asked;
    INFO(given, " read for ", bytes);
    CHECK(bytes > own / 10 * 9);
    CHECK(given < bytes + bytes / 10);
}

TEST_CASE("read ahead: what is read for somebody who does not come back gives way in time") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
    const std::uint64_t own = fill(device, 1, 10'000);
    Far far(device);
    std::vector<std::uint8_t> into(512 * KiB);
    for (int leaves = 1; leaves < 8; ++leaves) {
        Offset at = far.log->stream(1)->flushed / 8 * leaves;
        (void)far.read(1, at, into);
        (void)far.read(1, at, into);
    }
    const auto drained = far.drain(512 * KiB);
    INFO(drained.turns, " turns for ", drained.reads, " reads");
    CHECK(drained.bytes == own);
    CHECK(drained.turns <= 2 * drained.reads);
    CHECK(drained.for_each_byte() < 1.1);
}

TEST_CASE("read ahead: with hardly a cache everything is read all the same") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 32 * 2 * MiB});
    const std::uint64_t own = fill(device, 2, 150'000);
    Far far(device, 0);
    CHECK(far.drain(1 * MiB).bytes == own);
}

TEST_CASE("read ahead: footers of many streams come once for those that are read in turn") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 2 * MiB});
    constexpr StreamId streams = 8'000;
    constexpr int rounds = 3;  // in several segments, with footers larger than the cache's share
    {
        Rig rig(device, config_of());
        REQUIRE(rig.open());
        for (StreamId id = 1; id <= streams; ++id) REQUIRE(rig.log->declare_stream(id, {}));
        for (int round = 0; round < rounds; ++round)
            for (StreamId id = 1; id <= streams; ++id)
                while (!rig.append(id, {.size = 139, .salt = id})) rig.settle();
        rig.settle();
        rig.close();
    }
    Far far(device, 1 * MiB);
    std::vector<StreamId> wanted;
    for (StreamId id = 1; wanted.size() < 50; id += 150) wanted.push_back(id);
    const std::uint64_t before = device.counts().bytes_read;
    std::vector<std::uint8_t> into(16 * KiB);
    for (const StreamId id : wanted)
        for (Offset at = 0; at < rounds;) (void)far.read(id, at, into);
    const std::uint64_t asked = device.counts().bytes_read - before;
    INFO(asked, " bytes for ", wanted.size(), " streams");
    CHECK(asked < 8 * MiB);
}
