// leat.full.policy=block: a producer waits until the log has room again.
#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;
using Response = wire::ProduceResponse;

namespace {

struct BlockBench : ApiBench {
    BlockBench() {
        topics::TopicConfig config = topics.registry.new_config();
        REQUIRE(config.set("leat.full.policy", "reject").empty());
        REQUIRE(topics.registry.create(now, "t", 1, config));
        REQUIRE(config.set("leat.full.policy", "block").empty());
        REQUIRE(topics.registry.create(now, "b", 1, config));
        REQUIRE(config.set("leat.full.policy", "drop-oldest").empty());
        REQUIRE(topics.registry.create(now, "d", 1, config));
        flush();
        log.auto_flush = false;
    }
    void send_to(session::SessionId id, std::string_view name, const BatchSpec& spec,
                 std::int32_t timeout_ms = 30'000) {
        send(id, produce_frame(make_batch(spec), -1, timeout_ms, 0, name));
    }
    ErrorCode one_error(session::SessionId id) {
        const auto response = answer<Response>(id, 9);
        REQUIRE(response.responses.size() == 1);
        const auto topic = response.responses.front();
        REQUIRE(topic.partition_responses.size() == 1);
        return topic.partition_responses.front().error_code;
    }
    log::Offset end_of(std::string_view name) {
        return log.stream(topics.registry.find(name)->partitions[0])->log_end;
    }
};

}  // namespace

TEST_CASE("block: a request waits for a segment, in order on its connection, and then is durable") {
    BlockBench bench;
    const auto id = bench.open();
    bench.log.is_full = true;
    for (std::int32_t i = 0; i < 3; ++i)
        bench.send_to(id, "b", {.records = 2, .producer_id = 1, .epoch = 0, .sequence = 2 * i});
    CHECK(bench.api.parked().produces == 1);  // the others are not even read
    bench.flush();
    bench.advance(10'000);
    CHECK(bench.take(id).empty());
    CHECK(bench.end_of("b") == 0);
    bench.log.free_room();
    bench.settle();
    bench.flush();
    CHECK(!bench.take(id).empty());
    bench.flush();
    bench.flush();
    CHECK(bench.end_of("b") == 6);
    CHECK(bench.topics.counters().refused == 0);
    CHECK(bench.topics.counters().duplicates == 0);
}

TEST_CASE("block: nobody else waits with it; a topic that rejects is refused at once") {
    BlockBench bench;
    const auto waits = bench.open(), other = bench.open();
    bench.log.is_full = true;
    bench.send_to(waits, "b", {});
    bench.send_to(other, "t", {});
    CHECK(bench.one_error(other) == ErrorCode::not_enough_replicas);
    bench.log.is_full = false;  // a small batch may find room where no segment was freed
    bench.advance(1'000);       // which the refusal asked for
    bench.send_to(other, "t", {});
    bench.flush();
    CHECK(bench.one_error(other) == ErrorCode::none);
    CHECK(bench.end_of("b") == 0);
    bench.log.free_room();
    bench.settle();
    bench.flush();
    CHECK(bench.one_error(waits) == ErrorCode::none);
}

TEST_CASE("block: where the oldest records are dropped it is for what is dropped, in order") {
    BlockBench bench;
    const auto id = bench.open(), longer = bench.open();
    bench.log.is_full = true;
    for (int i = 0; i < 3; ++i) bench.send_to(id, "d", {.records = 2});
    CHECK(bench.take(id).empty());
    bench.advance(4'000);
    bench.send_to(longer, "d", {.records = 3});
    bench.advance(900);
    bench.log.free_room();
    bench.settle();
    bench.flush();
    bench.flush();
    bench.flush();
    CHECK(bench.end_of("d") == 9);
    CHECK(bench.topics.counters().refused == 0);
    for (const auto one : {id, longer}) CHECK(!bench.take(one).empty());
}

TEST_CASE("block: what is full of what must not be dropped refuses after five seconds") {
    BlockBench bench;
    const auto id = bench.open(), shorter = bench.open();
    bench.log.is_full = true;
    bench.send_to(id, "d", {});
    bench.send_to(shorter, "d", {}, 1'000);
    bench.advance(999);
    CHECK(bench.take(shorter).empty());
    bench.advance(1);
    CHECK(bench.one_error(shorter) == ErrorCode::not_enough_replicas);
    bench.advance(3'999);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    CHECK(bench.one_error(id) == ErrorCode::not_enough_replicas);
    CHECK(bench.topics.counters().refused == 2);
    CHECK(bench.end_of("d") == 0);
    CHECK(bench.api.parked().produces == 0);
}

TEST_CASE("block: behind a batch for which others were dropped he waits as long as he said") {
    BlockBench bench;
    const auto id = bench.open();
    bench.log.is_full = true;
    const auto batch = make_batch({});
    wire::ProduceRequest::PartitionProduceData data;
    data.records = batch;
    std::vector<wire::ProduceRequest::TopicProduceData> topics(2);
    topics[0].name = "d";
    topics[1].name = "b";
    for (auto& topic : topics) topic.partition_data = std::span(&data, 1);
    wire::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    request.topic_data = topics;
    bench.send(id, request_frame(request, 9));
    bench.advance(1'000);
    bench.log.group_batches_max = 1;
    bench.log.free_room();
    bench.settle();
    bench.log.is_full = true;  // again, behind the first of the two
    bench.flush();
    CHECK(bench.end_of("d") == 1);
    bench.advance(28'999);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    const auto response = bench.answer<Response>(id, 9);
    REQUIRE(response.responses.size() == 2);
    std::vector<ErrorCode> errors;
    for (const auto topic : response.responses)
        errors.push_back(topic.partition_responses.front().error_code);
    CHECK(errors == std::vector{ErrorCode::none, ErrorCode::request_timed_out});
}

TEST_CASE("block: after timeout_ms it is REQUEST_TIMED_OUT, and never appended") {
    BlockBench bench;
    const auto id = bench.open(), longer = bench.open();
    bench.log.is_full = true;
    bench.send_to(id, "b", {}, 500);
    bench.send_to(longer, "b", {.records = 3}, 5'000);
    bench.advance(499);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    CHECK(bench.one_error(id) == ErrorCode::request_timed_out);
    CHECK(bench.topics.counters().refused == 1);
    CHECK(bench.take(longer).empty());
    bench.log.free_room();
    bench.settle();
    bench.flush();
    CHECK(bench.end_of("b") == 3);
    CHECK(bench.one_error(longer) == ErrorCode::none);
    CHECK(bench.api.parked().produces == 0);
}

TEST_CASE("block: what waits is bounded in bytes; beyond, the answer is that of reject") {
    BlockBench bench;
    bench.log.is_full = true;
    std::vector<session::SessionId> waiting;
    const BatchSpec large{.value_bytes = 300'000};
    for (int i = 0; i < 3; ++i) bench.send_to(waiting.emplace_back(bench.open()), "b", large);
    CHECK(bench.api.parked().produces == 3);
    const auto fourth = bench.open();
    bench.send_to(fourth, "b", large);
    CHECK(bench.one_error(fourth) == ErrorCode::not_enough_replicas);
    CHECK_FALSE(bench.closed(fourth));
    // One that has gone makes place, for whom the refusal does not keep unread any more.
    bench.sessions.closed(bench.now, waiting[1]);
    bench.advance(1'000);
    bench.send_to(fourth, "b", large);
    CHECK(bench.take(fourth).empty());
    bench.log.free_room();
    bench.settle();
    bench.flush();
    for (const auto id : {waiting[0], waiting[2], fourth})
        CHECK(bench.one_error(id) == ErrorCode::none);
    CHECK(bench.end_of("b") == 3);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("block: with full groups on top of a full log everything comes through in the end") {
    BlockBench bench;
    bench.log.group_batches_max = 1;
    bench.log.is_full = true;
    std::vector<session::SessionId> ids;
    for (int i = 0; i < 5; ++i) bench.send_to(ids.emplace_back(bench.open()), "b", {});
    bench.log.free_room();
    bench.settle();  // one fits into the group, the others wait for commits: no segment is freed
                     // again
    for (int i = 0; i < 6; ++i) bench.flush();
    CHECK(bench.end_of("b") == 5);
    for (const auto id : ids) CHECK(bench.one_error(id) == ErrorCode::none);
}

namespace {

/// Of batches that are refused at once: `count` partitions that are not there, and then "b".
Bytes long_produce_frame(std::size_t count, std::int32_t timeout_ms) {
    std::vector<wire::ProduceRequest::PartitionProduceData> missing(count);
    for (auto& one : missing) one.index = -1;
    const auto batch = make_batch({});
    wire::ProduceRequest::PartitionProduceData last;
    last.records = batch;
    std::vector<wire::ProduceRequest::TopicProduceData> topics(2);
    topics[0].name = "t";
    topics[0].partition_data = missing;
    topics[1].name = "b";
    topics[1].partition_data = std::span(&last, 1);
    wire::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = timeout_ms;
    request.topic_data = topics;
    return request_frame(request, 9);
}

}  // namespace

TEST_CASE("block: what waits for days keeps nobody's request of many elements from being served") {
    BlockBench bench;
    bench.log.is_full = true;
    const auto waits = bench.open(), other = bench.open();
    bench.send(waits, long_produce_frame(50'000, INT32_MAX));
    CHECK(bench.api.parked().produces == 1);
    CHECK(bench.take(waits).empty());
    const std::vector<wire::StringView> names(50'000, wire::StringView(""));
    wire::FindCoordinatorRequest many;
    many.coordinator_keys = names;
    bench.send(other, request_frame(many, 4));
    CHECK_FALSE(bench.closed(other));
    CHECK_FALSE(bench.take(other).empty());
    // The answers that it has so far are counted among what waits instead.
    bench.send_to(other, "b", {});
    CHECK(bench.one_error(other) == ErrorCode::not_enough_replicas);
    bench.log.free_room();
    bench.settle();
    bench.flush();
    CHECK_FALSE(bench.take(waits).empty());
    CHECK(bench.end_of("b") == 1);
}

TEST_CASE("block: a broker that stops lets go of who waits") {
    BlockBench bench;
    const auto id = bench.open();
    bench.log.is_full = true;
    bench.send_to(id, "b", {});
    bench.api.stop(bench.now, bench.wall);
    CHECK(bench.one_error(id) == ErrorCode::request_timed_out);
}
