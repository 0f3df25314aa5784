// A log that fills up, in simulated time: what producers are told, how long they are left unread,
// and what a topic may reserve.
#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "tests/api/changes.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;
using Response = wire::ProduceResponse;

namespace {

struct RoomBench : ApiBench {
    RoomBench() {
        for (const auto& [name, policy] :
             {std::pair("r", "reject"), {"b", "block"}, {"d", "drop-oldest"}}) {
            topics::TopicConfig config = topics.registry.new_config();
            REQUIRE(config.set("leat.full.policy", policy).empty());
            REQUIRE(topics.registry.create(now, name, 1, config));
        }
        flush();
    }
    /// The throttle time that an answer to one batch tells.
    std::int32_t throttle(session::SessionId id, std::string_view topic,
                          ErrorCode expected = ErrorCode::none) {
        send(id, produce_frame(make_batch({}), -1, 30'000, 0, topic));
        flush();
        if (log.is_full && topic == "d") advance(5'000);  // it waits for what may be dropped
        const auto response = answer<Response>(id, 9);
        const auto one = response.responses.front();
        CHECK(one.partition_responses.front().error_code == expected);
        return response.throttle_time_ms;
    }
    /// The same on a connection of its own.
    std::int32_t throttle(std::string_view topic, ErrorCode expected = ErrorCode::none) {
        return throttle(open(), topic, expected);
    }

    Told create_reserving(std::string_view name, std::string_view bytes,
                          std::int32_t partitions = 1, bool validate_only = false) {
        wire::CreateTopicsRequest::CreatableTopicConfig config;
        config.name = "leat.reserved.bytes";
        config.value = bytes;
        wire::CreateTopicsRequest::CreatableTopic topic;
        topic.name = name;
        topic.num_partitions = partitions;
        topic.replication_factor = 1;
        topic.configs = std::span(&config, 1);
        wire::CreateTopicsRequest request;
        request.topics = std::span(&topic, 1);
        request.validate_only = validate_only;
        const auto response = call<wire::CreateTopicsResponse>(request, 7);
        const auto one = response.topics.front();
        return {one.error_code, std::string(one.error_message.view())};
    }
    Told alter(const char* topic, const char* name, const char* value) {
        return change(*this, {{name, 0, value}}, false, topic);
    }
    ErrorCode raise_partitions(std::string_view topic, std::int32_t count) {
        wire::CreatePartitionsRequest::CreatePartitionsTopic one;
        one.name = topic;
        one.count = count;
        one.assignments = nullptr;
        wire::CreatePartitionsRequest request;
        request.topics = std::span(&one, 1);
        const auto response = call<wire::CreatePartitionsResponse>(request, 3);
        return response.results.front().error_code;
    }
};

}  // namespace

TEST_CASE("room: from the fill mark on the throttle grows from nothing to a second") {
    RoomBench bench;
    bench.log.room_left = {.left = 1'000, .low = 1'000};
    for (const char* topic : {"r", "b", "d"}) CHECK(bench.throttle(topic) == 0);
    std::int32_t last = 0;
    for (std::uint64_t left = 900; left < 1'000; left -= 100) {
        bench.log.room_left.left = left;
        const std::int32_t told = bench.throttle("r");
        CAPTURE(left);
        CHECK(told > last);
        CHECK(bench.throttle("b") == told);
        CHECK(bench.throttle("d") == 0);  // for it there is always room
        last = told;
        if (left == 900) CHECK(told == 10);  // gently
    }
    CHECK(last == 1'000);
    CHECK(bench.api.pressure().throttled == 20);
    CHECK(bench.api.pressure().throttled_ms > 2 * 3'800);
}

TEST_CASE("room: a connection that was throttled is left unread for as long") {
    RoomBench bench;
    bench.log.room_left = {.left = 0, .low = 1'000};
    const auto id = bench.open(), other = bench.open();
    CHECK(bench.throttle(id, "r") == 1'000);
    bench.send(id, bench.produce_frame(make_batch({}), -1, 30'000, 0, "r"));
    bench.flush();
    bench.advance(990);
    bench.flush();
    CHECK(bench.take(id).empty());
    CHECK(bench.throttle(other, "d") == 0);  // others are served meanwhile
    bench.advance(20);
    bench.flush();
    CHECK_FALSE(bench.take(id).empty());
}

TEST_CASE("room: refusals say why, may be retried, and are throttled the longer the log is full") {
    RoomBench bench;
    bench.log.room_left = {.left = 0, .low = 1'000};
    bench.log.is_full = true;
    std::int32_t last = 0;
    for (int i = 0; i < 20; ++i) {
        const std::int32_t told = bench.throttle("r", ErrorCode::not_enough_replicas);
        CHECK(told >= std::max(last, 1'000));
        CHECK(told <= 5'000);
        if (i == 0) CHECK(told == 1'000);
        last = told;
        bench.advance(1'000);
    }
    CHECK(last == 5'000);
    CHECK(bench.throttle("d", ErrorCode::not_enough_replicas) == 0);
    // Long after, it is another time.
    bench.advance(40'000);
    CHECK(bench.throttle("r", ErrorCode::not_enough_replicas) == 1'000);
    bench.log.free_room();
    bench.log.room_left.left = 1'000;
    CHECK(bench.throttle("r") == 0);
}

TEST_CASE(
    "reserve: all reservations together are at most 70 % of the log, less what it remembers") {
    RoomBench bench;
    bench.log.budget_bytes = 1'600'000;  // 70 %: 1,120,000; 100,000 for what the broker remembers
    CHECK(bench.create_reserving("a", "500000").error == ErrorCode::none);
    const auto refused = bench.create_reserving("x", "520001");
    CHECK(refused.error == ErrorCode::invalid_config);
    CHECK(refused.message.find("leat.reserved.bytes") != std::string::npos);
    CHECK(refused.message.find("70 % of the log, 1120000 bytes") != std::string::npos);
    CHECK(refused.message.find("520001, with 500000 of other topics") != std::string::npos);
    CHECK(bench.topics.registry.find("x") == nullptr);
    CHECK(bench.create_reserving("x", "260001", 2, true).error == ErrorCode::invalid_config);
    CHECK(bench.create_reserving("x", "260000", 2).error == ErrorCode::none);  // each partition
    CHECK(bench.raise_partitions("x", 3) == ErrorCode::invalid_config);
    CHECK(bench.alter("a", "leat.reserved.bytes", "500001").error == ErrorCode::invalid_config);
    CHECK(bench.alter("a", "leat.reserved.bytes", "300000").error == ErrorCode::none);
    CHECK(bench.alter("r", "leat.reserved.bytes", "200000").error == ErrorCode::none);
    CHECK(bench.alter("d", "leat.reserved.bytes", "1").error == ErrorCode::invalid_config);
    CHECK(bench.alter("d", "leat.reserved.bytes", "-1").error == ErrorCode::invalid_config);
    // What asks for no more than it has may change otherwise.
    CHECK(bench.alter("a", "leat.priority", "9").error == ErrorCode::none);
    CHECK(bench.raise_partitions("d", 4) == ErrorCode::none);
}

TEST_CASE("reserve: each partition with a reservation takes a segment more") {
    RoomBench bench;
    bench.log.budget_bytes = 1'600'000;
    bench.log.segment_bytes = 100'000;
    CHECK(bench.create_reserving("a", "1", 11).error == ErrorCode::invalid_config);
    CHECK(bench.create_reserving("a", "1", 10).error == ErrorCode::none);
    CHECK(bench.create_reserving("c", "1").error == ErrorCode::invalid_config);
    CHECK(bench.create_reserving("c", "0", 50).error == ErrorCode::none);
}

TEST_CASE("reserve: records of compacted topics count, as many as there are") {
    RoomBench bench;
    bench.log.budget_bytes = 1'600'000;
    REQUIRE(bench.create_reserving("a", "1019900").error == ErrorCode::none);
    CHECK(bench.throttle("d") == 0);  // a batch of 70 bytes or so
    CHECK(bench.alter("d", "cleanup.policy", "compact").error == ErrorCode::none);
    CHECK(bench.alter("d", "leat.reserved.bytes", "100").error == ErrorCode::none);
    CHECK(bench.alter("d", "cleanup.policy", "delete").error == ErrorCode::none);
    for (int i = 0; i < 3; ++i) CHECK(bench.throttle("d") == 0);
    const auto refused = bench.alter("d", "cleanup.policy", "compact");
    CHECK(refused.error == ErrorCode::invalid_config);
    CHECK(bench.topics.registry.find("d")->config.compacted() == false);
}
