// A device that is away for a while, in every way: the log goes on by itself afterwards, whatever
// else is the matter.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/log/pressure.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr StreamId kept = 1, low = 2, high = 3;
StreamPolicy drops(std::uint8_t priority) {
    return {.when_full = WhenFull::drop_oldest, .priority = priority};
}

enum class Who : std::uint8_t { nobody, facts, keeping, dropping, all };

/// One step of who goes on while the device is away.
void produce(Pressure& pressure, Who who) {
    const auto put = [&] {
        (void)pressure.rig->log->put_fact(pressure.rig->at(), FactKind::group, bytes_of("g"),
                                          bytes_of(std::to_string(pressure.rig->now)));
    };
    if (who == Who::facts || who == Who::all) put();
    if (who == Who::keeping || who == Who::all) (void)pressure.append(kept, 3'000);
    if (who == Who::dropping || who == Who::all) {
        (void)pressure.append(low, 3'000);
        (void)pressure.append(high, 500);
    }
}

struct Outage {
    std::uint32_t segments = 32;
    std::uint32_t fill_percent = 50;  ///< of the pool, before
    bool delivered = false;           ///< what came before
    Who who = Who::all;
    std::int64_t seconds = 300;
    std::int64_t period_ms = 0, away_ms = 0;  ///< of each period so much; 0: all the time
    bool reads = false;
    enum class Meanwhile : std::uint8_t { nothing, stop, cut } meanwhile = Meanwhile::nothing;
};

/// Records that it takes until it is full.
std::uint64_t capacity(Pressure& pressure) {
    std::uint64_t taken = 0;
    for (int refused = 0; refused < 50;) {
        if (pressure.append_durably(kept, 3'000)) {
            ++taken;
            refused = 0;
        } else {
            ++refused;
            pressure.pass(100);
        }
    }
    return taken;
}
/// ... when nothing has happened to it.
std::uint64_t fresh_capacity(std::uint32_t segments) {
    static std::map<std::uint32_t, std::uint64_t> known;
    std::uint64_t& count = known[segments];
    if (count != 0) return count;
    Pressure pressure(segments, segments);
    pressure.add(kept, {}, true);
    pressure.start();
    return count = capacity(pressure);
}

void run(const Outage& outage) {
    INFO(outage.segments, " segments, ", outage.fill_percent, " % full, delivered ",
         outage.delivered, ", who ", static_cast<int>(outage.who), ", ", outage.seconds,
         " s, period ", outage.period_ms, " ms, away ", outage.away_ms, " ms, reads ",
         outage.reads, ", meanwhile ", static_cast<int>(outage.meanwhile));
    Pressure pressure(outage.segments, outage.segments);
    pressure.add(kept, {}, true);
    pressure.add(low, drops(3), true);
    pressure.add(high, drops(9), true);
    pressure.start();
    const std::uint32_t left = outage.segments * (100 - outage.fill_percent) / 100;
    for (std::uint64_t i = 0; pressure.rig->log->status().segments_free > left && i < 10'000; ++i)
        if (!pressure.append_durably(i % 8 == 0 ? low : kept, 3'000)) {
            if (pressure.rig->now > 1'030'000) break;
            pressure.pass(100);
        }
    if (outage.delivered) pressure.deliver_all();
    for (int i = 0; i < 30; ++i) pressure.pass(100);

    const std::int64_t end = pressure.rig->now + outage.seconds * 1'000;
    const std::int64_t step = outage.seconds > 600 && outage.period_ms == 0 ? 1'000 : 100;
    const std::int64_t middle = pressure.rig->now + outage.seconds * 500;
    bool did = outage.meanwhile == Outage::Meanwhile::nothing;
    while (pressure.rig->now < end) {
        pressure.away.writes =
            outage.period_ms == 0 || pressure.rig->now % outage.period_ms < outage.away_ms;
        pressure.away.reads = outage.reads && pressure.away.writes;
        produce(pressure, outage.who);
        pressure.pass(step);
        if (!std::exchange(did, did || pressure.rig->now >= middle) && did) {
            const bool cut = outage.meanwhile == Outage::Meanwhile::cut;
            pressure.device.hold(cut);
            produce(pressure, outage.who);
            pressure.rig->log->on_deadline(pressure.rig->at(), wall_ms(pressure.rig->wall));
            pressure.away.writes = pressure.away.reads = false;  // a start needs its device
            cut ? pressure.cut() : pressure.stop_and_start();
        }
    }
    pressure.away.writes = pressure.away.reads = false;
    const auto served = pressure.serves_again(180'000);
    CHECK(pressure.wrong == "");
    if (!served) return;
    CHECK(*served <= 61'000);  // the longest wait for the next try
    pressure.check();
    CHECK(pressure.wrong == "");
    // No segment is lost for good.
    pressure.deliver_all();
    CHECK(capacity(pressure) >= fresh_capacity(outage.segments) * 3 / 4);
    pressure.cut();
    pressure.check();
    CHECK(pressure.wrong == "");
}

}  // namespace

TEST_CASE("outage: whoever writes meanwhile, and whatever is kept, the log goes on by itself") {
    const bool deep = std::getenv("LEAT_OUTAGES") != nullptr;
    for (const std::uint32_t segments : {16u, 32u, 64u})
        for (const std::uint32_t full : {30u, 60u, 100u})
            for (const Who who : {Who::nobody, Who::facts, Who::keeping, Who::dropping, Who::all})
                for (const std::int64_t seconds : {1, 300, 3'600}) {
                    if (!deep && (segments == 64 || seconds == 3'600)) continue;
                    for (const bool delivered : {false, true})
                        run({.segments = segments,
                             .fill_percent = full,
                             .delivered = delivered,
                             .who = who,
                             .seconds = seconds,
                             .reads = full == 60});
                }
}
TEST_CASE("outage: one that comes and goes wears no segment out") {
    const bool deep = std::getenv("LEAT_OUTAGES") != nullptr;
    for (const std::uint32_t segments : {16u, 32u, 64u})
        for (const std::uint32_t full : {30u, 100u})
            for (const Who who : {Who::nobody, Who::facts, Who::keeping, Who::dropping, Who::all})
                for (const std::int64_t away : {100, 500, 900}) {
                    if (!deep && (segments == 64 || away == 900)) continue;
                    run({.segments = segments,
                         .fill_percent = full,
                         .who = who,
                         .seconds = deep ? 3'600 : 200,
                         .period_ms = 1'000,
                         .away_ms = away});
                }
}

TEST_CASE("outage: a stop, or a power cut, within") {
    using Meanwhile = Outage::Meanwhile;
    for (const std::uint32_t segments : {16u, 32u, 64u})
        for (const std::uint32_t full : {30u, 100u})
            for (const Meanwhile meanwhile : {Meanwhile::stop, Meanwhile::cut})
                for (const Who who : {Who::nobody, Who::all})
                    for (const std::int64_t away : {0, 500})
                        run({.segments = segments,
                             .fill_percent = full,
                             .who = who,
                             .seconds = 60,
                             .period_ms = away == 0 ? 0 : 1'000,
                             .away_ms = away,
                             .meanwhile = meanwhile});
}
