// What is delivered: order, faults, back-off, memory, cursors.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("uplink: whole batches arrive, bytes 61 to the end identical, with every codec") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    std::vector<Bytes> sent;
    int first = 0;
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const BatchSpec spec{.count = 50, .first = first, .codec = codec};
        sent.push_back(make_batch(spec));
        rig.append("t", spec);
        first += 50;
    }
    rig.start();
    const auto& batches = rig.upstream.topics["t"][0].batches;
    REQUIRE(batches.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(equal(batches[i].records, ByteView(sent[i]).subspan(61)));
        CHECK(batches[i].header.attributes == wire::read_batch_header(sent[i].data()).attributes);
        CHECK(batches[i].header.base_timestamp == 1'700'000'000'000);
        CHECK(batches[i].header.max_timestamp == 1'700'000'000'049);
    }
    CHECK(rig.values("t") == numbers(0, 250));
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);  // it comes with the written cursor
    rig.pass(250);
    CHECK(rig.log.stream(rig.stream("t"))->release == 250);
    CHECK(rig.uplink->uplinked_offset(rig.stream("t")) == 250);
    const RouteStatus status = rig.status();
    CHECK(status.link == LinkState::connected);
    CHECK(status.cluster_id == "upstream-cluster");
    CHECK(status.delivered_records == 250);
    CHECK(status.backlog_records == 0);
    CHECK(status.backlog_age == milliseconds{0});
    CHECK(status.in_flight_bytes == 0);
    CHECK(status.last_error.empty());
    CHECK_FALSE(rig.upstream.auto_creation_asked);
}

TEST_CASE("uplink: a commit that is held back is not forwarded") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 2});
    rig.start();
    rig.log.auto_flush = false;
    rig.append("t", {.count = 2, .first = 2});
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 2));
    CHECK(rig.log.stream(rig.stream("t"))->release == 2);
    rig.log.flush();
    rig.run();
    CHECK(rig.values("t") == numbers(0, 4));
}

TEST_CASE("uplink: a connection cut at any step loses nothing, repeats nothing, keeps the order") {
    for (const bool loses_answer : {false, true}) {
        int step = 0;
        for (;; ++step) {
            Rig rig;
            rig.make_topic("t", 2);
            rig.upstream.make_topic("t", 2);
            rig.cut_at_step = step;
            rig.cut_loses_answer = loses_answer;
            for (int i = 0; i < 8; ++i) rig.append("t", {.count = 2, .first = i * 2}, 0);
            rig.append("t", {.count = 5}, 1);
            rig.start();
            for (int i = 8; i < 12; ++i) {
                rig.append("t", {.count = 2, .first = i * 2}, 0);
                rig.pass(10);
            }
            rig.pass(60'000);
            INFO("step=" << step << " loses_answer=" << loses_answer);
            CHECK(rig.values("t", 0) == numbers(0, 24));
            CHECK(rig.values("t", 1) == numbers(0, 5));
            CHECK(rig.log.stream(rig.stream("t", 0))->release == 24);
            CHECK(rig.status().in_flight_bytes == 0);
            if (rig.steps <= step) break;
        }
        CHECK(step > 10);
    }
}

TEST_CASE("uplink: killed at any step it goes on from its cursor, once and in order") {
    for (int kill_after = 0; kill_after < 14; ++kill_after) {
        Rig rig;
        INFO("kill_after=" << kill_after);
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        rig.start();
        for (int i = 0; i < 14; ++i) {
            rig.append("t", {.count = 3, .first = i * 3});
            rig.pass(300);
            if (i == kill_after) {
                rig.kill();
                rig.start();
            }
        }
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 42));
        CHECK(rig.status().doubts_lost == 0);
    }
}

TEST_CASE("uplink: a cursor that was written is where the next life begins") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 10});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 10));
    rig.kill();
    rig.append("t", {.count = 10, .first = 10});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 20));  // nothing twice
    rig.uplink->stop(rig.now);
    rig.kill();
    rig.start();
    CHECK(rig.values("t") == numbers(0, 20));
    CHECK(rig.log.stream(rig.stream("t"))->release == 20);
}

TEST_CASE("uplink: an upstream that is away for hours gets everything; nothing times out") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.upstream_is_down = true;
    for (int i = 0; i < 100; ++i) {
        rig.append("t", {.count = 10, .first = i * 10});
        rig.pass(60'000);
    }
    CHECK(rig.values("t").empty());
    CHECK(rig.status().link == LinkState::waiting);
    CHECK(rig.status().backlog_records == 1000);
    CHECK(rig.status().backlog_bytes > 1000);
    CHECK(rig.status().backlog_age >= milliseconds{99 * 60'000});
    CHECK(rig.status().backlog_age <= milliseconds{101 * 60'000});
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);
    CHECK(rig.was_told("cannot connect to up1:9001"));
    CHECK(rig.events.size() < 10);  // told once, not at each of hundreds of tries
    rig.upstream_is_down = false;
    rig.pass(30'000);
    CHECK(rig.values("t") == numbers(0, 1000));
    CHECK(rig.status().last_error.empty());
    CHECK(rig.was_told("connected to up1:9001"));
}

TEST_CASE("uplink: tries come with a back-off that grows and has a bound") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream_is_down = true;
    rig.config.routes[0].backoff = milliseconds{100};
    rig.config.routes[0].backoff_max = milliseconds{5'000};
    rig.start();
    const auto tries = [&](std::int64_t ms) {
        const int before = rig.steps;
        rig.upstream_is_down = false;
        rig.cut_at_step = -1;
        // Each try is one step, refused: the model counts them while nobody is there.
        rig.upstream_is_down = true;
        int count = 0;
        const Instant until = rig.now + milliseconds{ms};
        while (rig.uplink->deadline() <= until) {
            rig.now = std::max(rig.now, rig.uplink->deadline());
            rig.uplink->on_deadline(rig.now);
            while (const auto action = rig.uplink->poll_link_action())
                if (action->kind == LinkAction::Kind::connect) {
                    ++count;
                    rig.uplink->link_closed(rig.now, action->link, Error::refused);
                }
        }
        rig.now = until;
        rig.steps = before;
        return count;
    };
    CHECK(tries(1'000) >= 3);
    (void)tries(20'000);
    const int later = tries(60'000);
    CHECK(later >= 10);
    CHECK(later <= 20);
}

TEST_CASE("uplink: one bad answer in the middle of a full window keeps the order") {
    for (int bad = 0; bad < 20; ++bad) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        int seen = 0;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return seen++ == bad ? ErrorCode::invalid_record : ErrorCode::none;
        };
        rig.hold_answers = false;
        for (int i = 0; i < 20; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(60'000);
        INFO("bad=" << bad);
        CHECK(first_arrivals(rig.values("t")) == numbers(0, 20));
        CHECK(rig.values("t").size() == 20);
    }
}

TEST_CASE(
    "uplink: an upstream that forgot our producer id is told a new epoch, and nothing is lost") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 5});
    rig.start();
    rig.upstream.topics["t"][0].producers.clear();  // expired after days
    bool once = true;
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
        return std::exchange(once, false) ? ErrorCode::unknown_producer_id : ErrorCode::none;
    };
    rig.append("t", {.count = 5, .first = 5});
    rig.pass(10'000);
    CHECK(rig.values("t") == numbers(0, 10));
    CHECK(rig.upstream.topics["t"][0].batches.back().header.producer_epoch == 1);
}

TEST_CASE("uplink: several brokers, leaders that move, a broker that goes") {
    Rig rig;
    rig.upstream.broker_count = 3;
    rig.make_topic("t", 6);
    rig.upstream.make_topic("t", 6);
    for (std::size_t p = 0; p < 6; ++p)
        for (int i = 0; i < 4; ++i) rig.append("t", {.count = 2, .first = i * 2}, p);
    rig.start();
    rig.pass(1'000);
    for (std::size_t p = 0; p < 6; ++p)
        rig.upstream.topics["t"][p].leader = 1 + static_cast<int>(p + 1) % 3;
    for (std::size_t p = 0; p < 6; ++p)
        for (int i = 4; i < 8; ++i) rig.append("t", {.count = 2, .first = i * 2}, p);
    rig.pass(30'000);
    for (std::size_t p = 0; p < 6; ++p) CHECK(rig.values("t", p) == numbers(0, 16));
}

TEST_CASE("uplink: control batches are passed over, and the cursor with them") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 2});
    rig.append("t", {.count = 1, .control = true});
    rig.append("t", {.count = 2, .first = 2});
    rig.append("t", {.count = 1, .control = true});
    rig.start();
    rig.pass(1'000);
    CHECK(rig.values("t") == numbers(0, 4));
    CHECK(rig.log.stream(rig.stream("t"))->release == 6);
}

TEST_CASE(
    "uplink: memory is bounded, a batch beyond the bound goes alone, all partitions progress") {
    Rig rig;
    rig.config.routes[0].in_flight_bytes = 64 * 1024;
    rig.make_topic("t", 12);
    rig.upstream.make_topic("t", 12);
    for (std::size_t p = 0; p < 12; ++p)
        for (int i = 0; i < 10; ++i)
            rig.append("t", {.count = 2, .first = i * 2, .padding = 5'000}, p);
    rig.append("t", {.count = 1, .first = 20, .padding = 300'000}, 5);
    rig.hold_answers = true;
    rig.start();
    CHECK(rig.status().in_flight_bytes <= 64 * 1024);
    rig.hold_answers = false;
    rig.pass(60'000);
    for (std::size_t p = 0; p < 12; ++p) CHECK(rig.values("t", p) == numbers(0, p == 5 ? 21 : 20));
    CHECK(rig.status().in_flight_bytes == 0);
}
