// Topics that are deleted and made again, here or upstream, and an upstream that forgot us, in one
// life.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

// The id of the topic is another one, its partitions are empty, and no producer is known there.
TEST_CASE("uplink: an upstream topic that is deleted and made again goes on, and both are told") {
    for (const bool killed : {false, true}) {
        Rig rig;
        INFO("killed=" << killed);
        one_topic_forgotten(rig);
        rig.upstream.topic_ids["t"].bytes[0] = 1;
        rig.start();
        for (int i = 0; i < 6; ++i) rig.append("t", {.count = 1, .first = i});
        rig.pass(1'000);
        REQUIRE(rig.values("t") == numbers(0, 6));
        rig.upstream.topics.erase("t");
        for (int i = 6; i < 20; ++i) rig.append("t", {.count = 1, .first = i});
        rig.pass(120'000);
        CHECK(rig.was_told("UNKNOWN_TOPIC_OR_PARTITION"));
        CHECK(rig.was_told("create it again"));
        CHECK(rig.status().last_error.find("UNKNOWN_TOPIC_OR_PARTITION") != std::string::npos);
        CHECK(rig.uplink->uplinked_offset(rig.stream("t")) == 6);
        if (killed) {
            rig.kill();
            rig.start();
        }
        rig.upstream.make_topic("t", 1);
        rig.upstream.topic_ids["t"].bytes[0] = 2;
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(6, 14));
        CHECK(rig.status().last_error.empty());
        CHECK(rig.status().doubts_lost == 0);
        CHECK(rig.uplink->uplinked_offset(rig.stream("t")) == 20);
    }
}

// producer.id.expiration.ms, a day: a gateway that was quiet for longer is a stranger.
TEST_CASE("uplink: an upstream that forgot a quiet producer gets what comes next, in order, once") {
    for (const ErrorCode says : {ErrorCode::none, ErrorCode::not_enough_replicas}) {
        Rig rig;
        INFO("says=" << static_cast<int>(says));
        one_topic_forgotten(rig);
        rig.start();
        for (int i = 0; i < 6; ++i) rig.append("t", {.count = 1, .first = i});
        rig.pass(1'000);
        rig.upstream.topics["t"][0].producers.clear();
        rig.pass(milliseconds{std::chrono::hours{25}}.count());
        bool once = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return std::exchange(once, false) ? says : ErrorCode::none;
        };
        rig.hold_answers = true;  // several are in flight when the first is refused
        for (int i = 6; i < 20; ++i) rig.append("t", {.count = 1, .first = i});
        rig.run();
        rig.hold_answers = false;
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 20));
        CHECK(rig.uplink->uplinked_offset(rig.stream("t")) == 20);
    }
}

TEST_CASE("uplink: a topic that is deleted and made again counts from a new epoch") {
    for (const int in_flight : {0, 1, 3}) {
        Rig rig;
        INFO("in_flight=" << in_flight);
        one_topic_forgotten(rig);
        rig.start();
        deliver_unnoticed(rig, 2);
        rig.hold_answers = true;
        for (int i = 0; i < in_flight; ++i) rig.append("t", {.count = 1, .first = 2 + i});
        rig.run();
        rig.delete_topic("t");
        rig.run();
        rig.make_topic("t", 1);
        rig.hold_answers = false;
        rig.append("t", {.count = 1, .first = 10});
        rig.append("t", {.count = 1, .first = 11});
        rig.pass(20'000);
        const std::vector<std::string> there = rig.values("t");
        REQUIRE(there.size() >= 2);
        CHECK(std::vector<std::string>(there.end() - 2, there.end()) == numbers(10, 2));
    }
}
