// The search for what is in doubt, where the upstream's log changes meanwhile, or makes no sense.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

constexpr std::int64_t day = 24 * 3600 * 1000;

void prepare(Rig& rig) {
    one_topic_forgotten(rig);
    rig.upstream.describes_producers = rig.upstream.shows_tail = true;
    rig.upstream.remembers_ms = day;
}

Partition& partition(Rig& rig) { return rig.upstream.topics["t"][0]; }

/// What somebody else sends to the upstream's partition.
void append_foreign(Rig& rig, std::size_t bytes) {
    const Bytes batch = make_batch({.count = 1, .first = 1000, .padding = bytes});
    const auto view = wire::BatchView::parse(batch);
    REQUIRE(view);
    Stored stored{view->header(), {view->records().begin(), view->records().end()}};
    stored.header.base_offset = partition(rig).log_end();
    partition(rig).batches.push_back(std::move(stored));
}

/// Three batches of one record are sent and arrive, and no answer does; days pass.
void send_unanswered(Rig& rig, int first) {
    rig.hold_answers = true;
    for (int i = 0; i < 3; ++i) rig.append("t", {.count = 1, .first = first + i});
    rig.run();
    rig.upstream_is_down = true;
    rig.run();
    rig.hold_answers = false;
    rig.now += milliseconds{3 * day};
    rig.upstream_is_down = false;
}

std::vector<std::string> own_values(Rig& rig) {
    std::vector<std::string> all = rig.values("t");
    std::erase(all, "v1000");
    return all;
}

}  // namespace

TEST_CASE("recall: a link that breaks again and again finds what it looks for while it moves") {
    for (const int every : {2, 3}) {
        Rig rig;
        INFO("every=" << every);
        prepare(rig);
        rig.start();
        deliver_unnoticed(rig, 2);
        for (int i = 0; i < 30; ++i) append_foreign(rig, 90'000);
        send_unanswered(rig, 2);
        rig.upstream.hangs_up_on_fetch = every;
        rig.pass(60'000);
        CHECK(own_values(rig) == numbers(0, 5));
        CHECK(rig.upstream.tail_requests > 30);
        CHECK(rig.status().doubts_lost == 0);
        CHECK(rig.status().backlog_records == 0);
    }
}

TEST_CASE("recall: a link that breaks on every question is asked three times") {
    Rig rig;
    prepare(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    send_unanswered(rig, 2);
    rig.upstream.hangs_up_on_fetch = 1;
    rig.pass(60'000);
    CHECK(first_arrivals(own_values(rig)) == numbers(0, 5));
    CHECK(rig.upstream.tail_requests == 1 + 3);
    CHECK(rig.status().doubts_lost == 1);
}

// What the old leader had alone is not there any more, and the new one's log ends before it.
TEST_CASE("recall: another leader is asked anew where its log ends") {
    for (const std::size_t copied : {2u, 3u, 4u}) {
        Rig rig;
        INFO("copied=" << copied);
        rig.upstream.broker_count = 2;
        prepare(rig);
        rig.start();
        deliver_unnoticed(rig, 2);
        send_unanswered(rig, 2);
        partition(rig).high_watermark = static_cast<std::int64_t>(copied);
        rig.pass(3'000);
        CHECK(rig.status().backlog_records == 3);
        partition(rig).batches.resize(copied);
        partition(rig).high_watermark = INT64_MAX;
        partition(rig).leader = 2;
        rig.pass(5'000);
        CHECK(own_values(rig) == numbers(0, 5));
        CHECK(rig.status().doubts_lost == 0);
        CHECK(rig.status().backlog_records == 0);
    }
}

TEST_CASE("recall: behind what the upstream has deleted the rest is looked through") {
    for (const bool all : {true, false}) {
        Rig rig;
        INFO("all=" << all);
        prepare(rig);
        for (int i = 0; i < 4; ++i) append_foreign(rig, 10);
        partition(rig).batches.erase(partition(rig).batches.begin(),
                                     partition(rig).batches.begin() + 3);
        partition(rig).log_start = 3;
        rig.start();
        send_unanswered(rig, 0);  // nothing was ever acknowledged: it begins at offset 0
        if (!all) partition(rig).log_start = 5;
        rig.pass(30'000);
        rig.append("t", {.count = 1, .first = 3});
        rig.pass(1'000);
        CHECK(first_arrivals(own_values(rig)) == numbers(0, 4));
        CHECK(own_values(rig).size() == (all ? 4 : 5));  // the one that could not be seen
        CHECK(rig.status().doubts_lost == (all ? 0 : 1));
        CHECK(rig.upstream.tail_requests < 10);
    }
}

TEST_CASE("recall: a batch that no memory is large enough for is not fetched without end") {
    Rig rig;
    prepare(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    append_foreign(rig, 10);
    partition(rig).batches.back().records.resize(9'000'000);
    send_unanswered(rig, 2);
    rig.pass(60'000);
    CHECK(partition(rig).batches.size() == 2 + 1 + 3 + 3);  // at least once
    CHECK(rig.upstream.tail_requests < 20);
    CHECK(rig.status().doubts_lost == 1);
    CHECK(rig.status().backlog_records == 0);
}

TEST_CASE("recall: an upstream whose answers make no sense gets all, at least once, and soon") {
    constexpr std::int64_t most = INT64_MAX;
    struct Lie {
        std::optional<std::int64_t> offset;
        std::int64_t base;
        std::int32_t last_delta;
        std::uint8_t magic;
    };
    for (const Lie& lie : {Lie{-1, 0, 0, 2}, Lie{most, 0, 0, 2}, Lie{most - 1, most, 0, 2},
                           Lie{most / 2, most, 0, 2}, Lie{{}, most, INT32_MAX, 2},
                           Lie{{}, -5, 0, 2}, Lie{{}, 2, -9, 2}, Lie{{}, INT64_MIN, INT32_MIN, 2},
                           Lie{{}, 2, 0, 1}, Lie{2, 0, 0, 2}}) {
        Rig rig;
        INFO("offset=" << lie.offset.value_or(-77) << " base=" << lie.base
                       << " delta=" << lie.last_delta << " magic=" << int{lie.magic});
        prepare(rig);
        rig.start();
        deliver_unnoticed(rig, 2);
        send_unanswered(rig, 2);
        rig.upstream.says_offset = lie.offset;
        rig.upstream.tampers = [&](Bytes& records) {
            if (records.empty()) return;
            store_big(records.data(), lie.base);
            store_big(records.data() + 23, lie.last_delta);
            records[16] = lie.magic;
        };
        rig.pass(100'000);
        CHECK(first_arrivals(own_values(rig)) == numbers(0, 5));
        CHECK(rig.status().backlog_records == 0);
        CHECK(rig.upstream.tail_requests < 200);
    }
}
