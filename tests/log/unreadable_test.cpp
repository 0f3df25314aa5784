// Pages that the device does not give: each hides itself, and nothing beside it.
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

/// Two of these fill a segment of 64 KiB.
BatchSpec large(std::uint64_t i) { return {.count = 2, .size = 20'000, .salt = i}; }

constexpr std::size_t for_ever = 1'000'000;
struct Away {
    std::uint64_t from = 0, to = 0;
    std::size_t reads = 0;
};

/// A log on a device that does not give one sector, or all of them.
struct PoorRig : Rig {
    Poor poor;
    PoorRig(SimStorage& below, std::uint64_t bad, LogConfig config, Away away = {})
        : Rig(below), poor(below) {
        poor.bad_sector = bad;
        goes(away);
        log = make_log(poor, entropy, std::move(config));
        REQUIRE(open());
        REQUIRE(log->declare_stream(1, {}));
    }
    ~PoorRig() { log.reset(); }
    void goes(Away away) {
        poor.away_from = away.from;
        poor.away_to = away.to;
        poor.away_reads = away.reads;
    }
};

}  // namespace

TEST_CASE("unreadable: a sector behind the end of the open tail takes no commit with it") {
    SimStorage made({.seed = 3, .size = many_segments});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 5; ++i)
            REQUIRE(rig.append_durably(1, {.count = 1, .size = 3'000, .salt = i}));
    }
    std::uint64_t end = pool + small_segment;  // what was never written is zeros
    std::uint8_t byte = 0;
    while (byte == 0) made.image().read(--end, {&byte, 1});
    end = round_up(end, page);
    for (const std::uint64_t bad : {end, pool + small_segment - 512}) {
        INFO("at ", bad - pool);
        SimStorage device({.seed = 4}, made.image());
        {
            PoorRig rig(device, bad, small_config());
            CHECK(rig.log->stream(1)->log_end == 5);
            CHECK(rig.read_all(1, 0).next == 5);
        }
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        CHECK(rig.read_all(1, 0).next == 5);
    }
}

TEST_CASE("unreadable: a torn footer in front of a header that holds takes no commit with it") {
    SimStorage made({.seed = 3, .size = many_segments});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 4; ++i) REQUIRE(rig.append_durably(1, large(i)));
    }
    SimStorage device({.seed = 4}, made.image());
    PoorRig rig(device, pool + small_segment - 512, small_config());
    CHECK(base_offsets(rig.read_all(1, 0).bytes).size() == 4);
}

TEST_CASE("unreadable: without a footer one page of a segment costs what is read with it only") {
    LogConfig config = small_config();
    config.segment_bytes = 256 * KiB;
    SimStorage device({.seed = 3, .size = pool + 128 * 256 * KiB});
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 50; ++i)
            REQUIRE(rig.append_durably(1, {.count = 1, .size = 7'000, .salt = i}));
    }
    const std::vector<std::uint8_t> nothing(page);
    device.image().write(pool + 256 * KiB - page, nothing);
    PoorRig rig(device, pool + 100 * KiB, config);
    CHECK(rig.log->stream(1)->log_end == 50);
    std::vector<Offset> bases;
    std::size_t errors = 0;
    int second = 0;
    for (Offset from = 0; from < 50 && second < 200; ++second) {
        const auto all = rig.read_all(1, from);
        for (const Offset base : base_offsets(all.bytes)) bases.push_back(base);
        from = all.next;
        if (all.error) {
            errors += *all.error == Error::corrupt ? 1 : 0;
            if (*all.error == Error::corrupt) CHECK(second >= 60);
            if (*all.error == Error::storage) CHECK(rig.log->books(1).losses.empty());
        }
        rig.pass(1'000);
    }
    CHECK(bases.size() >= 50 - 2);  // a batch takes two pages
    CHECK(errors <= 1);
    CHECK(second < 150);
    CHECK(rig.log->books(1).balanced());
    CHECK(!rig.log->books(1).losses.empty());
}

// The rest of the segment is what retention frees, and the log start may go on over it.
TEST_CASE("unreadable: who lies in pages that are not given keeps the segment") {
    SimStorage made({.seed = 3, .size = twice_small});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        REQUIRE(rig.append_durably(1, {.count = 1, .size = 100, .salt = 1}));
        for (std::uint64_t i = 0; i < 12; ++i) REQUIRE(rig.append_durably(2, large(i)));
        rig.close();
    }
    StreamPolicy small;
    small.retention_bytes = 1'000;
    const auto pass = [](Rig& rig) {
        REQUIRE(rig.log->declare_stream(3, {}));
        for (std::uint64_t i = 0; i < 12; ++i) {
            REQUIRE(rig.append_durably(3, {.count = 1, .size = 100, .salt = 700'000 + i}));
            for (int second = 0; second < 10; ++second) rig.pass(1'000);
        }
        CHECK(rig.log->stream(2)->log_start > 4);
    };
    SUBCASE("for a moment") {
        SimStorage device({.seed = 4}, made.image());
        PoorRig rig(device, UINT64_MAX, small_config());
        // The footer, the header, all, and twice the first page.
        rig.goes({.from = pool, .to = pool + small_segment, .reads = 5});
        REQUIRE(rig.log->declare_stream(2, small));
        rig.log->set_release(2, INT64_MAX);
        pass(rig);
        CHECK(rig.poor.away_reads == 0);
        CHECK(rig.log->counters().segments_recycled > 0);
        CHECK(rig.log->books(1).losses.empty());
        CHECK(rig.read_all(1, 0).next == 1);
        CHECK(!rig.read_all(1, 0).bytes.empty());
    }
    SUBCASE("for good") {
        const std::vector<std::uint8_t> nothing(page);
        made.image().write(pool + small_segment - page, nothing);
        SimStorage device({.seed = 4}, made.image());
        PoorRig rig(device, pool + page, small_config());
        REQUIRE(rig.log->declare_stream(2, small));
        rig.log->set_release(2, INT64_MAX);
        for (int second = 0; second < 30; ++second) rig.pass(1'000);
        CHECK(rig.log->books(1).losses.empty());  // a device may come back
        pass(rig);
        const Books books = rig.log->books(1);
        REQUIRE(books.losses.size() == 1);
        CHECK(books.losses[0].reason == LossReason::damaged);
        CHECK(books.losses[0].records == 1);
        CHECK(books.balanced());
        CHECK(rig.log->books(2).losses.empty());
    }
}

// With each refused read a second or more a start would take as long as nobody waits.
TEST_CASE("unreadable: a stretch that is dead is not asked for page after page") {
    LogConfig config = small_config();
    config.segment_bytes = 1024 * KiB;
    SimStorage made({.seed = 3, .size = pool + 32 * 1024 * KiB});
    {
        Rig rig(made, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 150; ++i)
            REQUIRE(rig.append_durably(1, {.count = 1, .size = 7'000, .salt = i}));
    }
    const std::uint64_t second = pool + 1024 * KiB;
    SUBCASE("at a start") {
        SimStorage device({.seed = 4}, made.image());
        PoorRig rig(device, UINT64_MAX, config,
                    {.from = second + page, .to = second + 1024 * KiB, .reads = for_ever});
        CHECK(for_ever - rig.poor.away_reads < 100);
    }
    SUBCASE("of a device that comes back in it") {
        for (std::size_t reads = 1; reads < 10; ++reads) {
            INFO(reads, " reads");
            SimStorage device({.seed = 4}, made.image());
            PoorRig rig(device, UINT64_MAX, config,
                        {.from = second + page, .to = second + 900 * KiB, .reads = reads});
            CHECK(rig.read_all(1, 0).next == 150);
            CHECK(base_offsets(rig.read_all(1, 0).bytes).size() == 150);
        }
    }
    SUBCASE("by retention") {
        SimStorage device({.seed = 4}, made.image());
        PoorRig rig(device, UINT64_MAX, config);
        rig.goes({.from = pool, .to = second, .reads = for_ever});
        rig.pass(1'000);
        CHECK(rig.poor.away_reads < for_ever);
        CHECK(for_ever - rig.poor.away_reads < 100);
    }
}

}  // namespace leat::log::test
