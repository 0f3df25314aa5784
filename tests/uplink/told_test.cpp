// Errors that pass by themselves: which are told, when, and that they are over.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("uplink: errors that pass are retried without a word") {
    for (const ErrorCode error : {ErrorCode::not_enough_replicas, ErrorCode::not_leader_or_follower,
                                  ErrorCode::corrupt_message, ErrorCode::kafka_storage_error,
                                  ErrorCode::request_timed_out}) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        int left = 3;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return left > 0 && left-- > 0 ? error : ErrorCode::none;
        };
        for (int i = 0; i < 7; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(60'000);
        INFO("error=" << static_cast<int>(error));
        CHECK(rig.values("t") == numbers(0, 7));
        CHECK(rig.status().refused_batches == 0);
    }
}

// Seen with a full leatd as the center: connected, no error, nothing stalled, and the backlog grew.
TEST_CASE("uplink: errors that should pass and do not are told, and that they are over") {
    for (const ErrorCode error :
         {ErrorCode::not_enough_replicas, ErrorCode::kafka_storage_error,
          ErrorCode::corrupt_message, ErrorCode::unknown_topic_or_partition}) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        bool refusing = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return refusing ? error : ErrorCode::none;
        };
        for (int i = 0; i < 7; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(300'000);
        INFO("error=" << static_cast<int>(error));
        CHECK(rig.was_told("does not take t-0 now, and says " + std::string(wire::name(error))));
        CHECK(rig.status().last_error.find(wire::name(error)) != std::string::npos);
        CHECK(rig.status().stalled == 1);
        CHECK(rig.events.size() < 5);
        refusing = false;
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 7));
        CHECK(rig.status().stalled == 0);
        CHECK(rig.status().last_error.empty());
    }
}

TEST_CASE("uplink: a long batch does not wait for partitions that are refused") {
    Rig rig;
    rig.config.routes[0].in_flight_bytes = 256 * 1024;
    for (const char* name : {"refused", "long"}) {
        rig.make_topic(name, 1);
        rig.upstream.make_topic(name, 1);
    }
    rig.upstream.refuse = [&](const std::string& topic, std::int32_t, const wire::BatchHeader&) {
        return topic == "refused" ? ErrorCode::not_enough_replicas : ErrorCode::none;
    };
    for (int i = 0; i < 40; ++i) rig.append("refused", {.count = 1, .first = i, .padding = 10'000});
    rig.start();
    rig.pass(10'000);
    REQUIRE(rig.status().in_flight_bytes > 56 * 1024);
    for (int i = 0; i < 4; ++i) rig.append("long", {.count = 1, .first = i, .padding = 200 * 1024});
    rig.pass(60'000);
    CHECK(rig.values("long") == numbers(0, 4));
    CHECK(rig.status().in_flight_bytes <= 512 * 1024);
}

namespace {

/// More than a request of the full size holds, in 32 partitions.
void append_much(Rig& rig, int first) {
    for (std::size_t partition = 0; partition < 32; ++partition)
        for (int i = 0; i < 2; ++i)
            rig.append("t", {.count = 1, .first = first + i, .padding = 30 * 1024}, partition);
}

}  // namespace

TEST_CASE("uplink: requests that make the upstream hang up are cut until it takes them, and told") {
    Rig rig;
    rig.make_topic("t", 32);
    rig.upstream.make_topic("t", 32);
    rig.upstream.frame_bytes_max = 200 * 1024;
    append_much(rig, 0);
    rig.start();
    rig.pass(600'000);
    for (std::size_t partition = 0; partition < 32; ++partition)
        CHECK(rig.values("t", partition) == numbers(0, 2));
    CHECK(rig.was_told("socket.request.max.bytes"));
    CHECK(rig.was_told("at most 131072 bytes"));
    CHECK_FALSE(rig.was_told("at most 65536 bytes"));

    // After thousands of answers it tries more again: the link may only have been bad for a while.
    rig.upstream.frame_bytes_max = SIZE_MAX;
    for (int i = 0; i < 16'384; ++i) {
        rig.append("t", {.count = 1, .first = 2 + i});
        rig.run();
    }
    CHECK(rig.upstream.frame_largest < 200 * 1024);
    append_much(rig, 20'000);
    rig.pass(60'000);
    CHECK(rig.upstream.frame_largest > 200 * 1024);
}

TEST_CASE("uplink: a link that is cut now and then, or times out, makes no request smaller") {
    Rig rig;
    one_topic(rig);
    for (int i = 0; i < 20; ++i) {
        rig.append("t", {.count = 1, .first = i});
        if (i == 0) rig.start();
        rig.cut_at_step = rig.steps + 1;
        rig.pass(20'000);
    }
    CHECK(rig.values("t") == numbers(0, 20));
    CHECK_FALSE(rig.was_told("socket.request.max.bytes"));
}

TEST_CASE("uplink: a partition that stays without a leader is told, an election is not") {
    Rig rig;
    rig.make_topic("t", 2);
    rig.upstream.make_topic("t", 2);
    rig.append("t", {.count = 2}, 0);
    rig.append("t", {.count = 2}, 1);
    rig.upstream.topics["t"][1].leader = -1;
    rig.start();
    rig.pass(10'000);
    CHECK(rig.values("t", 0) == numbers(0, 2));
    CHECK(rig.status().last_error.empty());
    rig.pass(120'000);
    CHECK(rig.was_told("upstream topic t has no leader for partition 1"));
    CHECK(rig.status().last_error.find("no leader") != std::string::npos);
    CHECK(rig.events.size() < 4);
    rig.upstream.topics["t"][1].leader = 1;
    rig.pass(30'000);
    CHECK(rig.values("t", 1) == numbers(0, 2));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: a producer id that should come soon and does not is told") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 1});
    rig.upstream.producer_id_error = ErrorCode::coordinator_load_in_progress;
    rig.start();
    rig.pass(300'000);
    CHECK(rig.was_told("refuses a producer id with COORDINATOR_LOAD_IN_PROGRESS: see"));
    rig.upstream.producer_id_error = ErrorCode::none;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 1));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: what a deleted topic had still to deliver is told, counted and in the books") {
    Rig rig;
    rig.config.routes.push_back(make_route());
    rig.config.routes[1].name = "other";
    rig.config.routes[1].bootstrap = {{"nowhere", 9001}};
    for (const char* name : {"t", "all", "none"}) rig.make_topic(name, 2);
    rig.upstream.make_topic("t", 2);
    rig.append("t", {.count = 5});
    rig.start();
    rig.pass(10'000);
    CHECK(rig.values("t", 0) == numbers(0, 5));
    rig.upstream_is_down = true;
    rig.append("t", {.count = 4, .first = 5});
    rig.append("t", {.count = 3}, 1);
    rig.run();
    rig.delete_topic("none");
    CHECK(rig.log.losses.empty());
    rig.events.clear();
    rig.delete_topic("t");
    rig.run();
    REQUIRE(rig.events.size() >= 2);
    CHECK(rig.events[0].route == "up");
    CHECK(rig.events[0].level == Event::Level::warn);
    CHECK(rig.events[0].text.find("topic t is deleted here with 7 records that were not delivered: "
                                  "offsets 5 to 8 of t-0, 0 to 2 of t-1.") == 0);
    CHECK(rig.events[1].route == "other");
    CHECK(rig.events[1].text.find("with 12 records that were not delivered: offsets 0 to 8 of t-0, "
                                  "0 to 2 of t-1.") != std::string::npos);
    CHECK(rig.status(0).lost_records == 7);
    CHECK(rig.status(1).lost_records == 12);
    // A record that two routes miss is lost once.
    REQUIRE(rig.log.losses[log::no_stream].size() == 1);
    CHECK(rig.log.losses[log::no_stream][0].reason == log::LossReason::deleted);
    CHECK(rig.log.losses[log::no_stream][0].from == 0);
    CHECK(rig.log.losses[log::no_stream][0].to == 12);
}

TEST_CASE("uplink: of a deleted topic some partitions are named, nothing that was gone before") {
    Rig rig;
    rig.make_topic("t", 12);
    for (std::size_t i = 0; i < 10; ++i) rig.append("t", {.count = 2}, i);
    rig.upstream_is_down = true;
    rig.start();
    rig.run();
    REQUIRE(rig.log.set_log_start(rig.now, rig.stream("t", 0), 1));
    rig.delete_topic("t");
    rig.run();
    CHECK(rig.was_told("with 19 records that were not delivered: offsets 1 to 1 of t-0, "));
    CHECK(rig.was_told(", 0 to 1 of t-7 and others of 2 more partitions. "));
    CHECK_FALSE(rig.was_told("t-8"));
}
