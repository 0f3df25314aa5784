// What compaction leaves out, in the books, where a power cut comes between the two.
#include <doctest/doctest.h>

#include "tests/log/keyed.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t medium = 32 * KiB + 64 * 64 * KiB;
constexpr StreamPolicy compacted{.compact = true, .dirty_permille_min = 100};
constexpr std::uint64_t unique_keys = 400;  // they are never superseded: the log start may pass them
constexpr std::uint64_t raises_max = 200, gone_min = 500;

struct Run {
    SimStorage device{{.seed = 1, .size = medium}};
    SimRandom random{7};
    Rig rig{device, config(), {}, 42, topics::filter_records};
    std::uint64_t key = 0, raises = 0, seen = 0;

    static LogConfig config() {
        LogConfig config = small_config();
        config.compaction_every = milliseconds(500);
        return config;
    }
    Run() {
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, compacted));
        rig.log->set_release(1, INT64_MAX);
    }
    void put() {
        KeyedSpec spec{.records = {}};
        for (int i = 0; i < 100; ++i, ++key) {
            KeyedValue& record = spec.records.emplace_back();
            record.key = std::to_string(key < unique_keys ? key : unique_keys + random.below(50));
            record.value = std::to_string(key);
            record.timestamp = 1'000'000 + static_cast<std::int64_t>(key);
        }
        const auto batch = make_keyed_batch(spec);
        REQUIRE(rig.log->append(rig.at(), wall_ms(rig.wall),
                                {.stream = 1, .batch = batch, .log_append_time = {}}));
        rig.settle();
    }
    /// Its book goes into the open group.
    void raise() {
        if (raises >= raises_max) return;
        REQUIRE(rig.log->set_log_start(rig.at(), 1, static_cast<Offset>(++raises)));
    }
    /// One write is done at a time.
    void step() {
        rig.now += 5;
        rig.wall += 5;
        if (device.writes_under_way() > 0) device.complete(0);
        rig.log->on_storage(rig.at());
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    }
    /// A raise may be counted as either, the log start being one of those that it passes.
    void check_power_cut() {
        SimStorage copy({.seed = 5}, device.crash_image(Tear::dropped, random));
        Rig look(copy);
        REQUIRE(look.open());
        REQUIRE(look.log->declare_stream(1, compacted));
        const StreamState state = *look.log->stream(1);
        const auto all = look.read_all(1, state.log_start);
        REQUIRE(!all.error);
        ByOffset found;
        REQUIRE(take_records(all.bytes, found));
        found.erase(found.begin(), found.lower_bound(state.log_start));
        const auto gone =
            static_cast<std::uint64_t>(state.log_end - state.log_start) - found.size();
        const Books books = look.log->books(1);
        const std::uint64_t booked =
            books.freed[static_cast<std::size_t>(Freed::superseded)].records;
        INFO("gone ", gone, " booked ", booked, " raises ", raises);
        CHECK(books.balanced());
        CHECK(booked <= gone + raises);
        CHECK(booked + raises >= gone);
        ++seen;
    }
};

}  // namespace

TEST_CASE("compaction: what it leaves out is booked once, whatever book waits or follows") {
    for (const bool follows : {false, true}) {
        Run run;
        std::uint64_t rounds = 0;
        for (int round = 0; round < 8 && rounds < 4; ++round) {
            run.device.hold(false);
            for (int i = 0; i < 80; ++i) run.put();  // no time passes
            run.device.hold(true);
            const std::uint64_t before = run.rig.log->counters().superseded_records;
            const std::uint64_t copied = run.rig.log->counters().cleaner_copied;
            std::uint64_t gone = 0;
            for (int i = 0; i < 1'000 && gone == 0; ++i) {
                if (run.rig.log->counters().cleaner_copied != copied) run.raise();
                run.step();
                gone = run.rig.log->counters().superseded_records - before;
            }
            if (gone == 0) continue;
            CHECK(gone >= gone_min);
            ++rounds;
            if (follows) run.raise();
            for (int k = 0; k < 30; ++k) {
                run.check_power_cut();
                run.step();
            }
        }
        CHECK(rounds == 4);
        CHECK(run.raises >= 5);
        CHECK(run.seen == 120);
    }
}
