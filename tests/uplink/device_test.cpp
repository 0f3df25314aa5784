// The uplink on the real log, whose device refuses reads: what is whole gets there.
#include "broker/uplink/uplink.hpp"
#include "tests/log/poor_device.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

constexpr std::uint64_t pool = 32 * KiB;

class RealLog {
public:
    log::test::SimStorage device{{.seed = 5, .size = pool + 64 * log::test::small_segment}};
    log::test::Poor poor{device};

    RealLog() { REQUIRE(log_->open(instant_ms(10'000), wall())); }
    operator log::Log&() { return *log_; }
    void on_storage(Instant now) {
        for (int i = 0; i < 100; ++i) {
            log_->on_storage(now);
            if (log_->deadline() > now) break;
            log_->on_deadline(now, wall());
        }
    }
    Status declare_stream(log::StreamId id, log::StreamPolicy policy) {
        return log_->declare_stream(id, policy);
    }
    const log::StreamState* stream(log::StreamId id) const { return log_->stream(id); }
    Result<log::Appended> append(Instant now, WallTime, const log::AppendRequest& request) {
        const auto appended = log_->append(now, wall(), request);
        on_storage(now);
        return appended;
    }
    std::optional<log::ReadDone> poll_read() { return log_->poll_read(); }
    log::Books books(log::StreamId id) const { return log_->books(id); }

private:
    static WallTime wall() { return wall_ms(1'800'000'000'000); }
    log::test::SimEntropy entropy_{3};
    std::unique_ptr<log::Log> log_ =
        log::make_log(poor, entropy_, log::test::small_config());
};

/// A backlog of two partitions, most of which is on the device only.
struct Backlog : RigOn<RealLog> {
    static constexpr int batches = 60, records = 5;
    Backlog() {
        make_topic("t", 2);
        upstream.make_topic("t", 2);
        for (int i = 0; i < batches; ++i)
            for (const std::size_t partition : {0u, 1u})
                append("t", {.count = records, .first = i * records, .padding = 800}, partition);
    }
    void check_all_there() {
        for (const std::size_t partition : {0u, 1u}) {
            CHECK(values("t", partition) == numbers(0, batches * records));
            CHECK(log.books(stream("t", partition)).losses.empty());
        }
        CHECK(status().lost_records == 0);
        CHECK(status().last_error.empty());
    }
};

}  // namespace

TEST_CASE("uplink: a device that gives nothing for a while moves no cursor, then all arrives") {
    for (const std::int64_t away_ms : {500, 5'000, 300'000}) {
        INFO("away for ", away_ms, " ms");
        Backlog rig;
        rig.log.poor.away_to = rig.log.device.image().size();
        rig.log.poor.away_reads = SIZE_MAX;
        rig.start();
        rig.pass(away_ms);
        CHECK(rig.was_told("cannot be read"));
        for (const std::size_t partition : {0u, 1u}) {
            CHECK(rig.values("t", partition).empty());
            CHECK(rig.log.stream(rig.stream("t", partition))->release == 0);
        }
        CHECK(rig.status().lost_records == 0);
        rig.log.poor.away_reads = 0;
        rig.pass(30'000);
        rig.check_all_there();
    }
}

TEST_CASE("uplink: a device that refuses a few reads now and then costs nothing") {
    Backlog rig;
    rig.log.poor.away_to = rig.log.device.image().size();
    rig.log.poor.away_reads = 3;
    rig.start();
    for (int i = 0; i < 50; ++i) {
        rig.log.poor.away_reads = static_cast<std::size_t>(i % 4);
        rig.pass(500);
    }
    rig.log.poor.away_reads = 0;
    rig.pass(30'000);
    rig.check_all_there();
}

TEST_CASE("uplink: a sector that is bad for good is waited for a minute, and costs its page") {
    Backlog rig;
    rig.log.poor.bad_sector = pool + 3 * log::test::small_segment + 5 * 4'096;
    rig.start();
    rig.pass(50'000);
    CHECK(rig.was_told("cannot be read"));
    CHECK(rig.status().lost_records == 0);
    rig.pass(100'000);
    CHECK(rig.was_told("are damaged"));
    const std::uint64_t lost = rig.status().lost_records;
    CHECK(lost > 0);
    CHECK(lost <= 3 * Backlog::records);  // a page, and batches of as much
    CHECK(rig.values("t", 0).size() + rig.values("t", 1).size() + lost ==
          2 * Backlog::batches * Backlog::records);
}
