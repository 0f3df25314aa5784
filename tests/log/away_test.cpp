// What a device does that is away, spoilt at its front, or seldom on for long.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "broker/log/core.hpp"
#include "tests/log/lone.hpp"
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint64_t pool = 32 * KiB;

/// Gives the two superblocks, and then refuses so many reads.
class Outage final : public leat::test::StorageOver {
public:
    explicit Outage(SimStorage& below) : StorageOver(below) {}
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (first_reads > 0)
            --first_reads;
        else if (away_reads > 0) {
            --away_reads;
            refused_.insert(ticket);
        }
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        auto done = below_.poll_done();
        if (done && refused_.erase(done->ticket) > 0) done->status = fail(Error::storage);
        return done;
    }
    std::size_t first_reads = 2, away_reads = 0;

private:
    std::set<std::uint64_t> refused_;
};

/// What a healthy start still finds of what was planted.
std::size_t found(const SimImage& image, std::string& fact) {
    SimStorage device({.seed = 9}, image);
    Rig rig(device);
    if (!rig.open()) return 0;
    declare_both(rig);
    std::size_t errors = 0;
    const auto k = rig.log->find_fact(FactKind::config, bytes_of("k"));
    fact = k ? std::string(text_of(*k)) : "none";
    return read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size();
}

}  // namespace

TEST_CASE("open: a log whose front is zeros is refused, not made anew over what is there") {
    SimStorage device({.seed = 1, .size = twice_small});
    (void)plant(device);
    const std::vector<std::uint8_t> zeros(32 * KiB);
    device.image().write(0, zeros);
    Rig rig(device);
    CHECK(!rig.open());
}

TEST_CASE("open: a device that refuses reads meanwhile costs nothing but that start") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made, false);
    std::string fact;
    REQUIRE(found(made.image(), fact) == planted.size());
    for (const std::size_t reads : {1u, 2u, 3u, 4u, 8u, 16u, 32u, 64u, 1'000'000u}) {
        SimStorage device({.seed = 2}, made.image());
        Outage poor(device);
        poor.away_reads = reads;
        CAPTURE(reads);
        {
            Rig rig(device);
            rig.log = make_log(poor, rig.entropy, small_config());
            const bool opened = static_cast<bool>(rig.open());
            poor.away_reads = 0;  // and it is back
            if (opened) {
                declare_both(rig);
                for (std::uint64_t i = 0; i < 60; ++i)
                    (void)rig.append_durably(1, {.count = 1, .size = 2'000, .salt = 900'000 + i});
                rig.close();
            }
        }
        const std::size_t left = found(device.image(), fact);
        CHECK(left >= planted.size());
    }
}

TEST_CASE("open: runs that are short write checkpoints, too: no start reads more and more") {
    SimStorage device({.seed = 1, .size = pool + 1024 * 64 * KiB});
    std::uint64_t first = 0, last = 0, checkpoints = 0;
    for (int run = 0; run < 40; ++run) {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        last = rig.log->counters().read_at_open;
        if (run == 3) first = last;
        for (std::uint64_t i = 0; i < 30; ++i)
            (void)rig.append_durably(1, {.count = 1, .size = 30'000, .salt = i});
        checkpoints += rig.log->counters().written_checkpoint;
        if (run % 2) rig.close();
    }
    CHECK(last < 4 * first);
    CHECK(checkpoints > 0);
}

TEST_CASE("time: a boot with a clock that is 55 years ahead for a day expires nothing") {
    constexpr std::int64_t hour = 3'600'000, day = 24 * hour, year = 365 * day;
    SimStorage device({.seed = 1, .size = small_device});
    for (int boot = 0; boot < 2; ++boot) {
        Rig rig(device);
        rig.wall = 1'800'000'000'000 + boot * 55 * year;
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {.retention = milliseconds(7 * day)}));
        rig.log->set_release(1, INT64_MAX);
        if (boot == 0)
            for (int i = 0; i < 60; ++i) REQUIRE(rig.append_durably(1, {.size = 3'000}));
        for (int i = 0; i < 8; ++i) {
            REQUIRE(rig.append_durably(1, {.size = 200}));
            rig.pass(hour / 4);
            rig.pass(1'000);
        }
        CHECK(rig.log->stream(1)->log_start == 0);
        device.power_cycle();
    }
}

TEST_CASE("lost segments: a device that takes commits and refuses reads for minutes costs nothing") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (const bool readers : {false, true}) {
        SimStorage device({.seed = 2}, made.image());
        Poor poor(device);
        {
            Rig rig(device);
            rig.log = make_log(poor, rig.entropy, small_config());
            REQUIRE(rig.open());
            declare_both(rig);
            REQUIRE(rig.log->declare_stream(3, {}));
            poor.away_to = UINT64_MAX;
            poor.away_reads = 1'000'000;
            for (std::uint64_t i = 0; i < 18; ++i) {
                REQUIRE(rig.append_durably(3, {.count = 1, .size = 100, .salt = 700'000 + i}));
                for (int second = 0; second < 10; ++second) {
                    rig.pass(1'000);
                    if (readers) (void)rig.read_all(1, 0);
                }
            }
            poor.away_reads = 0;
            for (std::uint64_t i = 0; i < 40; ++i)
                (void)rig.append_durably(3, {.count = 1, .size = 20'000, .salt = 800'000 + i});
            for (const StreamId id : {1u, 2u}) CHECK(rig.log->books(id).losses.empty());
            rig.close();
        }
        std::string fact;
        const std::size_t left = found(device.image(), fact);
        CHECK(left == planted.size());
    }
}

TEST_CASE("open: zeros at the front of one segment cost that segment at most") {
    for (const bool used_before : {false, true}) {
        SimStorage made({.seed = 1, .size = pool + 256 * 64 * KiB});
        std::uint64_t count = 0;
        Offset first = 0;
        {
            Rig rig(made);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {.retention_bytes = 3 * MiB}));
            rig.log->set_release(1, INT64_MAX);
            const std::uint64_t wanted = used_before ? 2'900 : 40;
            for (; count < wanted; ++count) {
                REQUIRE(rig.append_durably(1, {.count = 1, .size = 15'000, .salt = count}));
                if (used_before) rig.pass(100);
            }
            first = rig.log->stream(1)->log_start;
        }
        // By place: what the newest checkpoint does not know yet.
        std::map<std::uint64_t, std::uint32_t> by_place;
        for (std::uint32_t segment = 0; segment < 256; ++segment) {
            std::uint8_t page[segment_header_bytes];
            made.image().read(pool + segment * std::uint64_t{small_segment}, page);
            const auto header = decode_segment_header(page);
            if (header && header->area == Area::arrivals) by_place[header->place] = segment;
        }
        for (const std::uint64_t bytes : {4 * KiB, 16 * KiB, 64 * KiB}) {
            std::uint64_t worst = 0, back = 0;
            std::size_t tried = 0;
            auto at = by_place.rbegin();
            for (++at; at != by_place.rend() && tried < 8; ++at, ++tried) {
                SimStorage device({.seed = 2}, made.image());
                device.image().write(pool + at->second * std::uint64_t{small_segment},
                                     std::vector<std::uint8_t>(bytes));
                Rig rig(device);
                REQUIRE(rig.open());
                REQUIRE(rig.log->declare_stream(1, {}));
                std::size_t errors = 0;
                const std::size_t left = read_over(rig, 1, errors).size();
                const std::uint64_t there = count - static_cast<std::uint64_t>(first);
                worst = std::max(worst, there - std::min<std::uint64_t>(left, there));
                const auto end = static_cast<std::uint64_t>(rig.log->stream(1)->log_end);
                back = std::max(back, count - end);
            }
            CHECK(worst <= 5);
            CHECK(back == 0);
        }
    }
}

}  // namespace leat::log::test
