#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;
using Response = wire::ProduceResponse;

namespace {

struct ProduceBench : ApiBench {
    ProduceBench() {
        topic("t", 2);
        log.auto_flush = false;
    }
    Response::PartitionProduceResponse one_answer(session::SessionId id) {
        const auto response = answer<Response>(id, 9);
        REQUIRE(response.responses.size() == 1);
        const auto topic = response.responses.front();
        REQUIRE(topic.partition_responses.size() == 1);
        return topic.partition_responses.front();
    }
};

}  // namespace

TEST_CASE("produce: acks=all is silent until the commit is durable, acks=1 answers at the append") {
    ProduceBench bench;
    const auto all = bench.open(), one = bench.open();
    bench.send(all, bench.produce_frame(make_batch({.records = 3}), -1));
    bench.send(one, bench.produce_frame(make_batch({.records = 2}), 1));
    CHECK(bench.take(all).empty());
    CHECK(bench.one_answer(one).base_offset == 3);
    CHECK(bench.log.stream(bench.topics.registry.find("t")->partitions[0])->flushed == 0);
    bench.advance(100);
    CHECK(bench.take(all).empty());
    bench.flush();
    const auto answer = bench.one_answer(all);
    CHECK(answer.error_code == ErrorCode::none);
    CHECK(answer.base_offset == 0);
    CHECK(answer.log_append_time_ms == -1);
    CHECK(answer.log_start_offset == 0);
    CHECK(answer.error_message.is_null());
}

TEST_CASE("produce: byte for byte, v3 to an auto-created topic's partition 0") {
    ProduceBench bench;
    const auto id = bench.open();
    // Golden batch: two records, offsets 0 and 1, as Java wrote it.
    const std::string batch =
        "00000000000000000000004700000000020217af830000000000010000018bcfe568000000018bcfe56805ffff"
        "ffffffffffffffffffffffff"
        "000000021c000000046b3104763102026802780c000a02010100";
    bench.send(id, from_hex("00000079"
                            "0000"
                            "0003"
                            "00000007"
                            "0001"
                            "74"
                            "ffff"
                            "ffff"
                            "000003e8"
                            "00000001"
                            "0001"
                            "74"
                            "00000001"
                            "00000000"
                            "00000053" +
                            batch));
    bench.flush();
    CHECK(to_hex(bench.take(id)) ==
          "00000029"
          "00000007"
          "00000001"
          "0001"
          "74"
          "00000001"
          "00000000"
          "0000"
          "0000000000000000"
          "ffffffffffffffff"
          "00000000");
}

TEST_CASE("produce: acks=0 has no answer, and a refused batch closes the connection") {
    ProduceBench bench;
    const auto id = bench.open();
    bench.send(id, bench.produce_frame(make_batch({}), 0));
    bench.flush();
    CHECK(bench.take(id).empty());
    CHECK_FALSE(bench.closed(id));
    auto wrong = make_batch({});
    wrong[70] ^= 1;
    bench.send(id, bench.produce_frame(wrong, 0));
    CHECK(bench.closed(id));
    CHECK(bench.sessions.poll_event()->reason == session::CloseReason::produce_without_acks);
}

TEST_CASE("produce: refusals name the partition and append nothing") {
    ProduceBench bench;
    const auto id = bench.open();
    bench.send(id, bench.produce_frame(make_batch({}), 2));
    CHECK(bench.one_answer(id).error_code == ErrorCode::invalid_required_acks);
    bench.send(id, bench.produce_frame(make_batch({}), -1, 1000, 2));
    CHECK(bench.one_answer(id).error_code == ErrorCode::unknown_topic_or_partition);
    bench.send(id, bench.produce_frame(make_batch({}), -1, 1000, -1));
    CHECK(bench.one_answer(id).error_code == ErrorCode::unknown_topic_or_partition);
    auto wrong = make_batch({});
    wrong[70] ^= 1;
    bench.send(id, bench.produce_frame(wrong, -1));
    const auto corrupt = bench.one_answer(id);
    CHECK(corrupt.error_code == ErrorCode::corrupt_message);
    CHECK(corrupt.base_offset == -1);
    CHECK_FALSE(corrupt.error_message.is_null());
    auto placed = make_batch({});
    placed[7] = 1;  // its base offset, which is not the producer's to say
    bench.send(id, bench.produce_frame(placed, -1));
    CHECK(bench.one_answer(id).error_code == ErrorCode::invalid_record);
    bench.log.is_full = true;
    bench.send(id, bench.produce_frame(make_batch({}), -1));
    bench.advance(5'000);  // nothing was dropped for it meanwhile
    CHECK(bench.one_answer(id).error_code == ErrorCode::not_enough_replicas);
    CHECK(bench.log.stream(bench.topics.registry.find("t")->partitions[0])->log_end == 0);
}

TEST_CASE("produce: a duplicate of an unflushed batch waits for the original's commit") {
    ProduceBench bench;
    const auto first = bench.open(), second = bench.open();
    const auto batch = make_batch({.records = 2, .producer_id = 9, .epoch = 0, .sequence = 0});
    bench.send(first, bench.produce_frame(batch, -1));
    bench.send(second, bench.produce_frame(batch, -1));
    CHECK(bench.take(second).empty());
    bench.flush();
    CHECK(bench.one_answer(first).base_offset == 0);
    CHECK(bench.one_answer(second).base_offset == 0);
    bench.send(second, bench.produce_frame(batch, -1));
    CHECK(bench.one_answer(second).base_offset == 0);  // durable: at once
    CHECK(bench.log.stream(bench.topics.registry.find("t")->partitions[0])->log_end == 2);
}

TEST_CASE("produce: a commit that is given up is KAFKA_STORAGE_ERROR, an earlier one stays good") {
    ProduceBench bench;
    const auto good = bench.open(), bad = bench.open();
    bench.send(good, bench.produce_frame(make_batch({}), -1));
    bench.flush();
    bench.send(bad, bench.produce_frame(make_batch({}), -1));
    bench.log.give_up();
    bench.settle();
    CHECK(bench.one_answer(good).error_code == ErrorCode::none);
    const auto answer = bench.one_answer(bad);
    CHECK(answer.error_code == ErrorCode::kafka_storage_error);
    CHECK(answer.base_offset == -1);
}

TEST_CASE("produce: who waits for room is heard when the commit before is given up") {
    ProduceBench bench;
    bench.log.group_batches_max = 1;
    const auto a = bench.open(), b = bench.open(), c = bench.open();
    for (const auto id : {a, b, c}) bench.send(id, bench.produce_frame(make_batch({}), -1, 60'000));
    bench.log.give_up();
    bench.settle();
    CHECK(bench.one_answer(a).error_code == ErrorCode::kafka_storage_error);
    CHECK(bench.take(b).empty());  // is in the log's open group now
    bench.log.give_up();
    bench.log.is_read_only = true;
    bench.settle();
    for (const auto id : {b, c})
        CHECK(bench.one_answer(id).error_code == ErrorCode::kafka_storage_error);
}

TEST_CASE("produce: not durable within timeout_ms is REQUEST_TIMED_OUT, once") {
    ProduceBench bench;
    const auto id = bench.open();
    bench.send(id, bench.produce_frame(make_batch({}), -1, 8'000));
    bench.advance(7'999);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    CHECK(bench.one_answer(id).error_code == ErrorCode::request_timed_out);
    bench.flush();
    CHECK(bench.take(id).empty());
    CHECK(bench.api.deadline() == never);
}

TEST_CASE("produce: a timeout_ms below a flush is no reason to fail, as on a single replica") {
    for (const std::int32_t timeout_ms : {0, 1, -1, INT32_MIN}) {
        CAPTURE(timeout_ms);
        ProduceBench bench;
        bench.log.group_batches_max = 1;
        const auto first = bench.open(), second = bench.open();
        for (const auto id : {first, second})  // for its commit; for room in the log's groups
            bench.send(id, bench.produce_frame(make_batch({}), -1, timeout_ms));
        bench.advance(0);
        bench.advance(4'999);
        CHECK(bench.take(first).empty());
        CHECK(bench.take(second).empty());
        bench.flush();
        CHECK(bench.one_answer(first).error_code == ErrorCode::none);
        bench.flush();
        const auto answer = bench.one_answer(second);
        CHECK(answer.error_code == ErrorCode::none);
        CHECK(answer.base_offset == 1);
        bench.send(first, bench.produce_frame(make_batch({}), -1, timeout_ms));
        bench.advance(5'000);  // not for ever
        CHECK(bench.one_answer(first).error_code == ErrorCode::request_timed_out);
    }
}

TEST_CASE("produce: without room in the log requests wait in order, also those of one connection") {
    ProduceBench bench;
    bench.log.group_batches_max = 1;
    const auto a = bench.open(), b = bench.open();
    for (std::int32_t i = 0; i < 4; ++i)
        bench.send(a, bench.produce_frame(make_batch({.producer_id = 1, .epoch = 0, .sequence = i}),
                                          -1, 60'000));
    bench.send(b, bench.produce_frame(make_batch({.records = 5}), -1, 60'000));
    const log::StreamId stream = bench.topics.registry.find("t")->partitions[0];
    CHECK(bench.log.stream(stream)->log_end == 1);
    std::int64_t a_answers = 0;
    for (int round = 0; round < 10; ++round) {
        bench.flush();
        const Bytes bytes = bench.take(a);
        for (std::size_t at = 0; at < bytes.size();
             at += 4 + static_cast<std::size_t>(load_big<std::int32_t>(bytes.data() + at)))
            ++a_answers;
    }
    CHECK(a_answers == 4);
    CHECK(bench.log.stream(stream)->log_end == 9);
    CHECK(bench.topics.counters().refused == 0);  // none came out of sequence
    CHECK(bench.one_answer(b).error_code == ErrorCode::none);
}

TEST_CASE("produce: who waits for room longer than timeout_ms is refused and never appended") {
    ProduceBench bench;
    bench.log.group_batches_max = 1;
    const auto a = bench.open(), b = bench.open();
    bench.send(a, bench.produce_frame(make_batch({}), 1));
    bench.send(b, bench.produce_frame(make_batch({}), 1, 6'000));
    CHECK(bench.one_answer(a).error_code == ErrorCode::none);
    bench.advance(5'999);
    CHECK(bench.take(b).empty());
    bench.advance(1);
    CHECK(bench.one_answer(b).error_code == ErrorCode::request_timed_out);
    bench.flush();
    bench.flush();
    CHECK(bench.log.stream(bench.topics.registry.find("t")->partitions[0])->log_end == 1);
}

TEST_CASE("produce: nothing overtakes a producer's first batch that waited for room in vain") {
    ProduceBench bench;
    bench.log.group_batches_max = 1;
    const auto a = bench.open(), b = bench.open();
    const auto of_nine = [&](std::int32_t sequence) {
        const auto batch = make_batch({.producer_id = 9, .epoch = 0, .sequence = sequence});
        bench.send(b, bench.produce_frame(batch, -1, 300));  // wait_min holds
    };
    bench.send(a, bench.produce_frame(make_batch({}), 1));
    of_nine(0);
    bench.advance(5'000);
    CHECK(bench.one_answer(b).error_code == ErrorCode::request_timed_out);
    bench.flush();
    of_nine(1);  // was under way
    bench.flush();
    CHECK(bench.one_answer(b).error_code == ErrorCode::out_of_order_sequence_number);
    for (const std::int32_t sequence : {0, 1}) {
        of_nine(sequence);
        bench.flush();
        CHECK(bench.one_answer(b).base_offset == 1 + sequence);
    }
}

TEST_CASE("produce: a session that closes while waiting leaves no trace and no block") {
    ProduceBench bench;
    bench.log.group_batches_max = 1;
    const auto a = bench.open(), b = bench.open(), c = bench.open();
    bench.send(a, bench.produce_frame(make_batch({}), -1, 60'000));
    bench.send(b, bench.produce_frame(make_batch({.records = 7}), -1, 60'000));
    bench.send(c, bench.produce_frame(make_batch({}), -1, 60'000));
    bench.sessions.closed(bench.now, b);
    bench.sessions.closed(bench.now, a);
    for (int i = 0; i < 4; ++i) bench.flush();
    CHECK(bench.one_answer(c).base_offset == 1);
    CHECK(bench.api.parked().produces == 0);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("produce: several topics and partitions answer in their order, each with its own error") {
    ProduceBench bench;
    REQUIRE(bench.topics.registry.create(bench.now, "u", 1, bench.topics.registry.new_config()));
    const auto good = make_batch({.records = 2});
    auto bad = good;
    bad[17] ^= 1;
    std::vector<wire::ProduceRequest::PartitionProduceData> t(2), u(1);
    t[0].index = 1;
    t[0].records = good;
    t[1].index = 0;
    t[1].records = bad;
    u[0].index = 0;
    u[0].records = good;
    std::vector<wire::ProduceRequest::TopicProduceData> topics(3);
    topics[0].name = "t";
    topics[0].partition_data = t;
    topics[1].name = "nobody";
    topics[1].partition_data = u;
    topics[2].name = "u";
    topics[2].partition_data = u;
    wire::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = topics;
    const auto response = bench.call<Response>(request, 9);
    std::string text;
    for (const auto& topic : response.responses)
        for (const auto& partition : topic.partition_responses)
            text += std::string(topic.name.view()) + std::to_string(partition.index) + "=" +
                    std::to_string(static_cast<int>(partition.error_code)) + "@" +
                    std::to_string(partition.base_offset) + " ";
    CHECK(text == "t1=0@0 t0=2@-1 nobody0=3@-1 u0=0@0 ");
}

TEST_CASE("produce: a keyless record on a compacted topic is named by its index") {
    ProduceBench bench;
    topics::TopicConfig config = bench.topics.registry.new_config();
    REQUIRE(config.set("cleanup.policy", "compact") == "");
    REQUIRE(bench.topics.registry.remove(bench.now, *bench.topics.registry.find("t")));
    REQUIRE(bench.topics.registry.create(bench.now, "t", 1, config));
    const auto id = bench.open();
    bench.send(id, bench.produce_frame(make_batch({.records = 2, .keyless = true}), -1));
    const auto answer = bench.one_answer(id);
    CHECK(answer.error_code == ErrorCode::invalid_record);
    CHECK(answer.record_errors.size() == 2);
    CHECK(answer.record_errors.front().batch_index == 0);
}

TEST_CASE("init producer id: fresh ids for idempotence, a transactional id is refused") {
    ApiBench bench;
    for (std::int16_t version = 0; version <= 5; ++version) {
        wire::InitProducerIdRequest request;
        request.transactional_id = nullptr;
        const auto first = bench.call<wire::InitProducerIdResponse>(request, version);
        const auto second = bench.call<wire::InitProducerIdResponse>(request, version);
        CHECK(first.producer_id >= 0);
        CHECK(first.producer_epoch == 0);
        CHECK(second.producer_id != first.producer_id);
        for (const char* id : {"", "tx"}) {
            request.transactional_id = id;
            const auto refused = bench.call<wire::InitProducerIdResponse>(request, version);
            CHECK(refused.error_code == ErrorCode::invalid_request);
            CHECK(refused.producer_id == -1);
        }
        request.transactional_id = nullptr;
        request.producer_id = 7;  // without its epoch (KIP-360)
        CHECK(bench.call<wire::InitProducerIdResponse>(request, version).error_code ==
              (version >= 3 ? ErrorCode::invalid_request : ErrorCode::none));
    }
}

TEST_CASE("find coordinator: a group without a name has one, as in Kafka") {
    ApiBench bench;
    for (std::int16_t version = 0; version <= 6; ++version) {
        CAPTURE(version);
        const wire::StringView keys[] = {"", "g"};
        wire::FindCoordinatorRequest request;
        request.key = "";
        request.coordinator_keys = keys;
        const auto response = bench.call<wire::FindCoordinatorResponse>(request, version);
        if (version < 4) {
            CHECK(response.error_code == ErrorCode::none);
            CHECK(response.host.view() == "h");
            continue;
        }
        REQUIRE(response.coordinators.size() == 2);
        for (const auto& one : response.coordinators) {
            CHECK(one.error_code == ErrorCode::none);
            CHECK(one.node_id == 0);
            CHECK(one.port == 9092);
        }
    }
}

TEST_CASE("find coordinator: transactions are refused for good, in each client's words") {
    ApiBench bench;
    for (std::int16_t version = 1; version <= 6; ++version) {
        CAPTURE(version);
        const wire::StringView key = "tx";
        wire::FindCoordinatorRequest request;
        request.key_type = 1;
        request.key = key;
        request.coordinator_keys = std::span(&key, 1);
        const auto response = bench.call<wire::FindCoordinatorResponse>(request, version);
        if (version < 4) {  // the only error after which librdkafka does not ask again
            CHECK(response.error_code == ErrorCode::transactional_id_authorization_failed);
            CHECK(response.node_id == -1);
            CHECK(response.error_message.view() == "This broker has no transactions.");
        } else {
            REQUIRE(response.coordinators.size() == 1);
            const auto one = response.coordinators.front();
            CHECK(one.error_code == ErrorCode::invalid_request);
            CHECK(one.error_message.view() == "This broker has no transactions.");
        }
    }
}
