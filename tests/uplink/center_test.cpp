// What becomes of the center: brokers that die, leaders that move, topics made anew, another
// cluster at the old address, a listener that wants a login.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("center: dead brokers hold a part of the memory, and stall nobody else's partitions") {
    for (const bool silent : {true, false})
        for (const std::set<std::int32_t>& dead :
             {std::set<std::int32_t>{2}, std::set<std::int32_t>{1, 3}})
            for (const std::uint32_t memory : {64u * 1024, 1024u * 1024}) {
                Rig rig;
                INFO("silent=" << silent << " dead=" << dead.size() << " memory=" << memory);
                rig.config.routes[0].in_flight_bytes = memory;
                rig.config.routes[0].bootstrap = {{"up1", 9001}, {"up2", 9002}, {"up3", 9003}};
                rig.upstream.broker_count = 3;
                rig.make_topic("t", 12);
                rig.upstream.make_topic("t", 12);
                rig.append("t", {.count = 1, .padding = 10}, 0);
                rig.start();
                rig.pass(1'000);  // all are known and connected
                const std::size_t bound =
                    memory + 3 * std::clamp<std::size_t>(memory / 16, 16 * KiB, 256 * KiB);
                if (silent) rig.silent = dead;
                for (int i = 0; i < 60; ++i)
                    for (std::size_t p = 0; p < 12; ++p)
                        rig.append("t", {.count = 1, .first = i, .padding = 8'000}, p);
                rig.run();
                if (!silent) {
                    rig.refusing = dead;
                    for (const std::int32_t broker : dead) rig.cut_all(broker);
                }
                const auto check_living = [&] {
                    for (std::size_t p = 0; p < 12; ++p) {
                        INFO("partition=" << p);
                        if (dead.contains(rig.upstream.topics["t"][p].leader)) continue;
                        CHECK(rig.values("t", p).size() == (p == 0 ? 61 : 60));
                    }
                };
                for (int second = 0; second < 10; ++second) {
                    rig.pass(1'000);
                    CHECK(rig.status().in_flight_bytes <= bound);
                }
                check_living();  // long before any time-out
                for (int minute = 0; minute < 10; ++minute) {
                    for (std::size_t p = 0; p < 12; ++p)
                        rig.append("t", {.count = 1, .first = 60 + minute, .padding = 8'000}, p);
                    rig.pass(60'000);
                    CHECK(rig.status().in_flight_bytes <= bound);
                }
                for (std::size_t p = 0; p < 12; ++p) {
                    INFO("partition=" << p);
                    if (dead.contains(rig.upstream.topics["t"][p].leader)) continue;
                    CHECK(rig.values("t", p).size() == (p == 0 ? 71 : 70));
                }
                rig.silent.clear();
                rig.refusing.clear();
                rig.pass(120'000);
                for (std::size_t p = 1; p < 12; ++p) CHECK(rig.values("t", p) == numbers(0, 70));
                CHECK(rig.status().in_flight_bytes == 0);
            }
}

TEST_CASE("center: a leader that moves with batches in flight takes each once, in order") {
    for (int moved_at = 0; moved_at < 12; ++moved_at)
        for (const bool loses_answer : {false, true}) {
            Rig rig;
            INFO("moved_at=" << moved_at << " loses_answer=" << loses_answer);
            rig.upstream.broker_count = 2;
            one_topic(rig);
            rig.start();
            for (int i = 0; i < 12; ++i) {
                if (i == moved_at) rig.hold_answers = true;
                rig.append("t", {.count = 2, .first = i * 2});
                rig.run();
            }
            rig.upstream.topics["t"][0].leader = 2;
            if (loses_answer) rig.cut_all(1);
            rig.hold_answers = false;
            rig.append("t", {.count = 2, .first = 24});
            rig.pass(60'000);
            CHECK(rig.values("t") == numbers(0, 26));
            CHECK(rig.status().stalled == 0);
            CHECK(rig.status().in_flight_bytes == 0);
        }
}

TEST_CASE(
    "center: a topic that is deleted and made again there gets what comes after, and no less") {
    for (int in_flight = 0; in_flight < 8; ++in_flight)
        for (const bool over_restart : {false, true}) {
            Rig rig;
            INFO("in_flight=" << in_flight << " over_restart=" << over_restart);
            rig.config.cursor_interval = milliseconds{60'000};
            one_topic(rig);
            rig.start();
            for (int i = 0; i < 4; ++i) {
                rig.append("t", {.count = 1, .first = i});
                rig.run();
            }
            rig.upstream.topics.erase("t");
            for (int i = 0; i < in_flight; ++i) rig.append("t", {.count = 1, .first = 4 + i});
            rig.pass(2'000);
            if (over_restart) {
                rig.kill();
                rig.start();
                rig.pass(2'000);
            }
            rig.upstream.make_topic("t", 1);
            for (int i = in_flight; i < 12; ++i) {
                rig.append("t", {.count = 1, .first = 4 + i});
                rig.run();
            }
            rig.pass(60'000);
            std::vector<std::string> there = first_arrivals(rig.values("t"));
            if (over_restart)  // what the cursor did not know of comes again
                std::erase_if(there, [](const std::string& value) {
                    return value.size() == 2 && value[1] < '4';
                });
            CHECK(there == numbers(4, 12));
            CHECK(rig.status().stalled == 0);
            CHECK(rig.status().backlog_records == 0);
        }
}

TEST_CASE(
    "center: another cluster at the same address is told, and gets no number of the old one") {
    for (const bool over_restart : {false, true}) {
        Rig rig;
        INFO("over_restart=" << over_restart);
        one_topic(rig);
        rig.start();
        for (int i = 0; i < 4; ++i) {
            rig.append("t", {.count = 1, .first = i});
            rig.pass(1'000);
        }
        if (over_restart) rig.kill();
        // It gave our number to somebody else, who has sent as much as we did, and more.
        rig.upstream.cluster_id = "another-cluster";
        rig.upstream.next_producer_id = 9'000;
        auto& partition = rig.upstream.topics["t"][0];
        partition.batches.clear();
        for (auto& [id, entry] : partition.producers) {
            entry.last.clear();
            for (std::int32_t i = 3; i < 8; ++i) entry.last.emplace_back(i, i);
        }
        if (over_restart)
            rig.start();
        else
            rig.cut_all(1);
        rig.pass(5'000);
        for (int i = 4; i < 8; ++i) {
            rig.append("t", {.count = 1, .first = i});
            rig.run();
        }
        rig.pass(5'000);
        CHECK(rig.values("t") == numbers(4, 4));
        for (const Stored& batch : partition.batches) CHECK(batch.header.producer_id == 9'000);
        CHECK(rig.status().cluster_id == "another-cluster");
        if (!over_restart) CHECK(rig.was_told("upstream-cluster is another-cluster now"));
        CHECK(rig.status().stalled == 0);
    }
}

TEST_CASE("center: a listener that wants a login is asked with a growing pause, and told") {
    Rig rig;
    one_topic(rig);
    rig.upstream.wants_login = true;
    rig.append("t", {.count = 3});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.connects < 40);  // 600 at the first pause
    CHECK(rig.was_told("wants no login"));
    CHECK(rig.status().backlog_records == 3);
    rig.upstream.wants_login = false;
    rig.pass(30'000);
    CHECK(rig.values("t") == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("center: no right to a producer id, or to write, loses nothing, nor what was in doubt") {
    for (const bool over_restart : {false, true}) {
        Rig rig;
        rig.config.cursor_interval = milliseconds{60'000};
        one_topic(rig);
        rig.start();
        rig.append("t", {.count = 2});
        rig.run();
        rig.hold_answers = true;
        rig.append("t", {.count = 2, .first = 2});
        rig.run();
        if (over_restart)
            rig.kill();
        else
            rig.cut_all(1);
        rig.hold_answers = false;
        rig.upstream.producer_id_error = ErrorCode::cluster_authorization_failed;
        rig.upstream.refuse = [](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return ErrorCode::topic_authorization_failed;
        };
        if (over_restart) rig.start();
        rig.append("t", {.count = 2, .first = 4});
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 4));
        CHECK(rig.was_told("TOPIC_AUTHORIZATION_FAILED"));
        rig.upstream.producer_id_error = ErrorCode::none;
        rig.upstream.refuse = nullptr;
        rig.pass(60'000);
        INFO("over_restart=" << over_restart);
        // In one life the queue gives up what was refused, and its number with it.
        CHECK((over_restart ? rig.values("t") : first_arrivals(rig.values("t"))) == numbers(0, 6));
        CHECK(rig.status().doubts_lost == 0);
    }
}
