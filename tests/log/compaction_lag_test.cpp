// When compaction comes: not before a record's lag, not later than the longest one, and tombstones
// stay as long as they were promised. All of it in log time.
#include <doctest/doctest.h>

#include "tests/log/keyed_rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::int64_t minute = 60'000, hour = 60 * minute;

/// A log that begins its life with another clock, on the same device.
void restart(std::unique_ptr<KeyedRig>& rig, SimStorage& device, const StreamPolicy& policy,
             std::int64_t wall) {
    const std::int64_t now = rig->now;
    rig.reset();
    device.power_cycle();
    rig = std::make_unique<KeyedRig>(device);
    rig->now = now;
    rig->wall = wall;
    REQUIRE(rig->open());
    REQUIRE(rig->log->declare_stream(1, policy));
    rig->log->set_release(1, INT64_MAX);
}

}  // namespace

TEST_CASE("compaction: nothing goes before its lag, whatever the clock says and however full it is") {
    SimStorage device({.seed = 1, .size = medium});
    StreamPolicy policy = compacted;
    policy.compaction_lag = milliseconds(hour);
    policy.dirty_permille_min = 0;
    auto rig = std::make_unique<KeyedRig>(device);
    REQUIRE(rig->open());
    REQUIRE(rig->log->declare_stream(1, policy));
    rig->log->set_release(1, INT64_MAX);
    std::map<Offset, std::int64_t> put_at;  // in uptime
    std::uint64_t superseded = 0, refused = 0;
    for (std::uint64_t i = 0; i < 2'400; ++i) {
        const Offset base = rig->put(1, {.records = {update(i % 10, i, 1'000)}});
        if (base >= 0) put_at[base] = rig->now;
        refused += base < 0 ? 1 : 0;
        rig->pass(10'000);
        if (i % 60 == 59) {
            const ByOffset found = rig->records(1);
            for (const auto& [offset, at] : put_at)
                if (rig->now - at < hour) REQUIRE(found.contains(offset));
        }
        if (i == 600) rig->wall += 55 * 365 * 24 * hour;  // the clock jumps while it runs
        if (i == 900 || i == 1'500) superseded += rig->counters().superseded_records;
        if (i == 900) restart(rig, device, policy, 1'000);  // boots in 1970 ...
        if (i == 1'000) rig->wall = 1'800'000'000'000;      // ... and jumps to today
        if (i == 1'500) restart(rig, device, policy, rig->wall);
    }
    superseded += rig->counters().superseded_records;
    CHECK(refused == 0);
    CHECK(superseded > 1'500);
    CHECK(view_of(rig->records(1)).size() == 10);
    CHECK(rig->log->books(1).balanced());
}

TEST_CASE("compaction: a record that waits for its longest lag makes a pass, worth it or not") {
    for (const std::int64_t longest : {std::int64_t{-1}, 30 * minute}) {
        INFO("longest lag ", longest, " ms");
        SimStorage device({.seed = 1, .size = medium});
        KeyedRig rig(device);
        REQUIRE(rig.open());
        StreamPolicy policy = compacted;
        policy.dirty_permille_min = 900;
        policy.compaction_lag_max = milliseconds(longest);
        REQUIRE(rig.log->declare_stream(1, policy));
        REQUIRE(rig.log->declare_stream(2, {.retention = milliseconds(0)}));
        for (const StreamId id : {1u, 2u}) rig.log->set_release(id, INT64_MAX);
        ByOffset sent;
        const auto put = [&](std::uint64_t key, std::uint64_t n) {
            const KeyedSpec spec{.records = {update(key, n, 3'000)}};
            const Offset base = rig.put(1, spec);
            REQUIRE(base >= 0);
            sent.emplace(base, spec.records[0]);
        };
        // Many keys, then what supersedes one in ten of them: no segment becomes free by that.
        for (std::uint64_t i = 0; i < 300; ++i) put(i, i);
        const auto traffic = [&](int seconds) {  // segments of the log become full, and old
            for (int i = 0; i < seconds; i += 10) {
                REQUIRE(rig.put(2, {.records = {update(1, 1, 3'000)}}) >= 0);
                rig.pass(10'000);
            }
        };
        traffic(600);
        for (std::uint64_t i = 0; i < 300; i += 10) put(i, 1'000 + i);
        const std::int64_t put_at = rig.now;
        traffic(600);
        const std::size_t before = rig.records(1).size();
        CHECK(before == 330);  // it is too few of all to be worth a look
        while (rig.now < put_at + 40 * minute) traffic(60);
        const ByOffset found = rig.records(1);
        CHECK(found.size() == (longest < 0 ? 330 : 300));
        CHECK(view_of(found) == view_of(sent));
        for (const auto& [offset, record] : found) CHECK(record == sent.at(offset));
        CHECK(rig.log->books(1).balanced());
        CHECK(rig.log->books(1).losses.empty());
        // Then there is nothing to do: no copies, and no more checkpoints than the records make.
        const std::uint64_t copied = rig.counters().cleaner_copied;
        traffic(3 * 3'600);
        CHECK(rig.counters().cleaner_copied == copied);
        CHECK(rig.records(1) == found);
    }
}

TEST_CASE("compaction: what waits too long behind the newest checkpoint makes another one, once") {
    for (const bool bounded : {false, true}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 1'024 * 64 * KiB});  // one each 32 segments
        KeyedRig rig(device);
        REQUIRE(rig.open());
        StreamPolicy policy = compacted;
        if (bounded) policy.compaction_lag_max = milliseconds(30 * minute);
        REQUIRE(rig.log->declare_stream(1, policy));
        rig.log->set_release(1, INT64_MAX);
        const auto rest = [&](std::int64_t minutes) {
            for (std::int64_t i = 0; i < 6 * minutes; ++i) rig.pass(10'000);
        };
        for (std::uint64_t i = 0; i < 100; ++i)
            REQUIRE(rig.put(1, {.records = {update(i % 5, i, 3'000)}}) >= 0);
        rest(20);
        CHECK(rig.records(1).size() == 100);
        rest(20);
        const std::size_t left = rig.records(1).size();
        CHECK((bounded ? left < 40 : left == 100));
        // What is left lies in the open segment: no checkpoint of an idle log changes that.
        const std::uint64_t written = rig.counters().written_checkpoint;
        rest(10 * 60);
        CHECK(rig.counters().written_checkpoint == written);
        CHECK(rig.records(1).size() == left);
        CHECK(view_of(rig.records(1)).size() == 5);
    }
}

TEST_CASE("compaction: a tombstone stays its time from when what it deletes was taken out") {
    for (const std::int64_t retention : {std::int64_t{0}, 20 * minute}) {
        INFO("delete.retention.ms ", retention);
        SimStorage device({.seed = 1, .size = medium});
        KeyedRig rig(device);
        REQUIRE(rig.open());
        StreamPolicy policy = compacted;
        policy.tombstone_retention = milliseconds(retention);
        policy.dirty_permille_min = 0;
        REQUIRE(rig.log->declare_stream(1, policy));
        rig.log->set_release(1, INT64_MAX);
        for (int i = 0; i < 720; ++i) rig.pass(10'000);  // a log that is older than they get
        std::map<std::string, Offset> tombstones;
        std::uint64_t n = 0;
        for (std::uint64_t i = 0; i < 40; ++i)
            REQUIRE(rig.put(1, {.records = {update(i, ++n, 1'500)}}) >= 0);
        for (std::uint64_t i = 0; i < 40; ++i) {
            KeyedSpec spec{.records = {update(i, ++n, 10)}};
            spec.records[0].value.reset();
            tombstones[spec.records[0].key] = rig.put(1, spec);
        }
        // From then on: others come and go, and of each deleted key it is looked what is left.
        std::map<std::string, std::int64_t> alone_since;
        std::size_t gone = 0;
        for (int i = 0; i < 500; ++i) {
            ++n;
            REQUIRE(rig.put(1, {.records = {update(1'000 + n % 7, n, 2'000)}}) >= 0);
            rig.pass(10'000);
            const ByOffset found = rig.records(1);
            std::map<std::string, int> of_key;
            for (const auto& [offset, record] : found) ++of_key[record.key];
            gone = 0;
            for (const auto& [key, offset] : tombstones) {
                const bool there = found.contains(offset);
                gone += there ? 0 : 1;
                if (!there) CHECK(of_key[key] == 0);  // or what it deletes would be back
                if (of_key[key] <= 1 && !alone_since.contains(key)) alone_since[key] = rig.now;
                if (!there) REQUIRE(rig.now - alone_since[key] >= retention);
            }
            if (gone == tombstones.size()) break;
        }
        CHECK(gone == tombstones.size());
        CHECK(rig.log->books(1).balanced());
    }
}
