// The whole broker on the real log and a simulated device: what it answers and keeps.
#include "tests/node/node_bench.hpp"

using namespace leat;
using namespace leat::test;

TEST_CASE(
    "node: a commit that the device holds back is no ack, no high watermark and no fetch; then it "
    "is all three") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto producer = bench.open(), consumer = bench.open();
    bench.send(consumer, NodeBench::fetch_frame(0, 60'000));
    bench.storage_->hold(true);
    bench.send(producer, NodeBench::produce_frame(make_batch({.records = 3}), -1));
    bench.settle();
    CHECK(bench.storage_->writes_under_way() == 1);
    CHECK(bench.take(producer).empty());
    CHECK(bench.take(consumer).empty());
    CHECK(bench.latest() == 0);
    const auto other = bench.open();
    bench.send(other, NodeBench::fetch_frame(0, 0));
    CHECK(bench.fetched_bytes(bench.take(other)) == 0);
    CHECK(bench.node->status_json(bench.now).find(
              "\"high_watermark\":0,\"log_end\":3,\"uplinked_offset\":0") != std::string::npos);

    bench.storage_->complete(0);
    bench.storage_->hold(false);
    bench.settle();
    CHECK_FALSE(bench.take(producer).empty());
    CHECK(bench.fetched_bytes(bench.take(consumer)) == make_batch({.records = 3}).size());
    CHECK(bench.latest() == 3);
    CHECK(bench.node->status_json(bench.now).find(
              "\"high_watermark\":3,\"log_end\":3,\"uplinked_offset\":3") != std::string::npos);
}

TEST_CASE(
    "node: a kill loses nothing acknowledged; cluster id, topics and producers are the same "
    "afterwards") {
    NodeBench bench;
    bench.create("t");
    const std::string cluster_id = bench.cluster_id;
    CHECK(cluster_id.size() == 22);
    const auto batch = make_batch({.records = 5, .producer_id = 77, .epoch = 0, .sequence = 0});
    auto producer = bench.open();
    bench.send(producer, NodeBench::produce_frame(batch, -1));
    bench.settle();
    CHECK_FALSE(bench.take(producer).empty());
    for (int start = 0; start < 3; ++start) {
        bench.kill();
        bench.start();
        bench.create("t");  // is there: no new id, no new topic
        CHECK(bench.cluster_id == cluster_id);
        CHECK(bench.latest() == 5);
        // The producer resends what it has no answer for: recognised, with the first offset.
        producer = bench.open();
        bench.send(producer, NodeBench::produce_frame(batch, -1));
        bench.settle();
        const Bytes answer = bench.take(producer);
        const auto response = ApiBench::decode_answer<wire::ProduceResponse>(answer, 9);
        const auto topic = response.responses.front();
        CHECK(topic.partition_responses.front().base_offset == 0);
        CHECK(bench.latest() == 5);
    }
}

TEST_CASE("node: a power cut at the n-th write keeps every acknowledged batch, whatever n") {
    for (std::uint64_t cut = 1; cut < 24; ++cut) {
        CAPTURE(cut);
        NodeBench bench;
        bench.create("t");
        bench.settle();
        bench.node.reset();
        bench.storage_ = std::make_unique<SimStorage>(
            SimStorageOptions{.seed = cut, .size = 4 * MiB, .power_cut_at_write = cut},
            bench.storage_->image());
        bench.start();
        std::int64_t acknowledged = 0;
        const auto producer = bench.open();
        for (int i = 0; i < 12 && !bench.storage_->was_cut(); ++i) {
            bench.send(producer, NodeBench::produce_frame(
                                     make_batch({.records = 2, .value_bytes = 3000}), -1));
            bench.settle();
            if (!bench.take(producer).empty()) acknowledged += 2;
        }
        bench.node.reset();
        bench.storage_->power_cycle();
        bench.storage_ = std::make_unique<SimStorage>(
            SimStorageOptions{.seed = cut + 100, .size = 4 * MiB}, bench.storage_->image());
        bench.start();
        const std::int64_t latest = bench.latest();
        CHECK(latest >= acknowledged);
        CHECK(latest % 2 == 0);
    }
}

TEST_CASE("node: stop answers who waits, seals the log, and the next start knows it") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto consumer = bench.open(), producer = bench.open();
    bench.send(consumer, NodeBench::fetch_frame(0, 60'000));
    bench.storage_->hold(true);
    bench.send(producer, NodeBench::produce_frame(make_batch({}), -1));
    bench.node->stop(bench.now, bench.wall);
    CHECK(bench.fetched_bytes(bench.take(consumer)) == 0);
    CHECK_FALSE(bench.node->stopped());
    CHECK_FALSE(bench.node->open_session(bench.now, "late"));
    bench.storage_->hold(false);
    while (bench.storage_->writes_under_way() > 0) bench.storage_->complete(0);
    bench.settle();
    CHECK(bench.node->stopped());
    CHECK_FALSE(bench.take(producer).empty());
    CHECK(bench.node->wants_close(producer));
    bench.node.reset();
    bench.start();
    CHECK(bench.node->status_json(bench.now).find("\"was_sealed\":true") != std::string::npos);
    CHECK(bench.latest() == 1);
}

TEST_CASE(
    "node: two failed writes in a row are KAFKA_STORAGE_ERROR for who waits, a told error, and "
    "reads go on") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto producer = bench.open();
    bench.send(producer, NodeBench::produce_frame(make_batch({.records = 4}), -1));
    bench.settle();
    CHECK_FALSE(bench.take(producer).empty());
    bench.storage_->fail_next(0, 1000);
    bench.send(producer, NodeBench::produce_frame(make_batch({}), -1));
    bench.settle();
    const Bytes answer = bench.take(producer);
    const auto response = ApiBench::decode_answer<wire::ProduceResponse>(answer, 9);
    const auto topic = response.responses.front();
    CHECK(topic.partition_responses.front().error_code == ErrorCode::kafka_storage_error);
    CHECK(bench.events().find("writes fail: nothing is taken") != std::string::npos);
    const auto consumer = bench.open();
    bench.send(consumer, NodeBench::fetch_frame(0, 0));
    bench.settle();
    CHECK(bench.fetched_bytes(bench.take(consumer)) == make_batch({.records = 4}).size());
    CHECK(bench.latest() == 4);
}

TEST_CASE("node: after two failed writes a new producer's batches come in its order") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto id = bench.open();
    const auto produce = [&](const BatchSpec& batch) {
        bench.send(id, NodeBench::produce_frame(make_batch(batch), -1));
        bench.settle();
        const Bytes answer = bench.take(id);
        return bench.produced(answer);
    };
    const auto of_nine = [](std::int32_t sequence) {
        return BatchSpec{.producer_id = 9, .epoch = 0, .sequence = sequence};
    };
    bench.storage_->fail_next(0, 2);
    CHECK(produce(of_nine(0)) == ErrorCode::kafka_storage_error);
    CHECK(bench.events().find("writes fail") != std::string::npos);
    for (int i = 0; i < 1'000 && produce({}) != ErrorCode::none; ++i) continue;
    REQUIRE(bench.latest() == 1);  // the device works again
    CHECK(bench.events().find("the device takes writes again") != std::string::npos);
    CHECK(produce(of_nine(1)) == ErrorCode::out_of_order_sequence_number);  // was under way
    CHECK(produce(of_nine(0)) == ErrorCode::none);
    CHECK(produce(of_nine(1)) == ErrorCode::none);
    CHECK(bench.latest() == 3);
}

TEST_CASE("node: deadlines move time only when there is something to do") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto consumer = bench.open();
    bench.send(consumer, NodeBench::fetch_frame(0, 500));
    CHECK(bench.node->deadline() <= bench.now + milliseconds(500));
    int calls = 0;
    const Instant start = bench.now;
    while (bench.node->deadline() < start + milliseconds(60'000)) {
        bench.now = std::max(bench.now, bench.node->deadline());
        bench.node->on_deadline(bench.now, bench.wall);
        ++calls;
        REQUIRE(calls < 200);
    }
    CHECK_FALSE(bench.take(consumer).empty());
    MESSAGE("deadlines in an idle minute: " << calls);
}

TEST_CASE("node: another device's log is served and not forwarded, until adopted or forked") {
    config::Config config = NodeBench::small();
    config.device_identity = "board a";
    config.routes.push_back({.bootstrap = {{"127.0.0.1", 9}}, .topics = {"*"}});
    NodeBench bench(config);
    bench.create("t");
    bench.settle();
    const std::string original = bench.cluster_id;
    CHECK(bench.node->poll_link_action().has_value());

    bench.config_.device_identity = "board b";
    bench.kill();
    bench.start();
    bench.create("t");
    CHECK_FALSE(bench.node->poll_link_action().has_value());
    CHECK(bench.events().find("--adopt") != std::string::npos);
    CHECK(bench.node->status_json(bench.now).find("\"link\":\"held\"") != std::string::npos);
    CHECK(bench.cluster_id == original);

    SUBCASE("adopted") {
        bench.config_.foreign_log = config::Config::ForeignLog::adopt;
        bench.kill();
        bench.start();
        bench.create("t");
        CHECK(bench.node->poll_link_action().has_value());
        CHECK(bench.cluster_id == original);
    }
    SUBCASE("forked") {
        bench.config_.foreign_log = config::Config::ForeignLog::fork;
        bench.kill();
        bench.start();
        bench.create("t");
        CHECK(bench.node->poll_link_action().has_value());
        const std::string forked = bench.cluster_id;
        CHECK(forked != original);
        bench.settle();
        bench.kill();  // the flag stays: nothing more happens
        bench.start();
        bench.create("t");
        CHECK(bench.cluster_id == forked);
    }
}

TEST_CASE(
    "node: on a full log a blocked producer waits until records are deleted, and loses none") {
    NodeBench bench;
    bench.create_full("t", "block");
    const auto producer = bench.open();
    std::int64_t taken = 0;
    for (; taken < 1'000; ++taken) {
        bench.send(producer, NodeBench::produce_frame(make_batch({.value_bytes = 20'000}), -1));
        bench.settle();
        const Bytes answer = bench.take(producer);
        if (answer.empty()) break;
        REQUIRE(bench.produced(answer) == ErrorCode::none);
    }
    CHECK(taken > 100);  // 4 MiB
    CHECK(taken < 250);
    CHECK(bench.latest() == taken);
    REQUIRE(bench.delete_before(taken / 2) == ErrorCode::none);
    Bytes answer;
    for (int i = 0; i < 50 && answer.empty(); ++i) {  // five of the 30 seconds that it would wait
        bench.settle();
        answer = bench.take(producer);
    }
    REQUIRE_FALSE(answer.empty());
    CHECK(bench.produced(answer) == ErrorCode::none);
    CHECK(bench.latest() == taken + 1);
}

TEST_CASE(
    "node: the end and the largest timestamp wait for the append that is there, not the next") {
    NodeBench bench;
    bench.create("t");
    bench.settle();
    const auto producer = bench.open();
    bench.storage_->hold(true);
    bench.send(producer, NodeBench::produce_frame(make_batch({.records = 3}), 1));
    bench.settle();
    REQUIRE_FALSE(bench.take(producer).empty());  // acknowledged, and not durable
    std::vector<node::SessionId> asking;
    for (const std::int64_t target : {-1, -3}) {
        wire::ListOffsetsRequest::ListOffsetsPartition partition;
        partition.timestamp = target;
        wire::ListOffsetsRequest::ListOffsetsTopic topic;
        topic.name = "t";
        topic.partitions = std::span(&partition, 1);
        wire::ListOffsetsRequest request;
        request.topics = std::span(&topic, 1);
        asking.push_back(bench.open());
        bench.send(asking.back(), request_frame(request, 7));
        bench.settle();
        CHECK(bench.take(asking.back()).empty());
    }
    bench.storage_->complete(0);
    bench.storage_->hold(false);
    bench.settle();
    for (const std::int64_t end : {3, 0}) {
        const Bytes answer = bench.take(asking[end == 3 ? 0 : 1]);
        REQUIRE_FALSE(answer.empty());
        const auto response = ApiBench::decode_answer<wire::ListOffsetsResponse>(answer, 7);
        const auto told = response.topics.front();
        CHECK(told.partitions.front().offset == end);
    }
}

TEST_CASE("node: connections above an ip's rate are turned away, others come in") {
    NodeBench bench;
    wire::AlterClientQuotasRequest::EntryData::EntityData entity;
    entity.entity_type = "ip";
    entity.entity_name = "10.0.0.7";
    wire::AlterClientQuotasRequest::EntryData::OpData op;
    op.key = "connection_creation_rate";
    op.value = 2;
    wire::AlterClientQuotasRequest::EntryData entry;
    entry.entity = std::span(&entity, 1);
    entry.ops = std::span(&op, 1);
    wire::AlterClientQuotasRequest request;
    request.entries = std::span(&entry, 1);
    const auto response = bench.call<wire::AlterClientQuotasResponse>(request, 1);
    REQUIRE(response.entries.front().error_code == ErrorCode::none);
    const auto open = [&](const char* peer) {
        return static_cast<bool>(bench.node->open_session(bench.now, peer));
    };
    CHECK(open("10.0.0.7:1000"));
    CHECK(open("[::ffff:10.0.0.7]:1001"));
    CHECK_FALSE(open("10.0.0.7:1002"));
    CHECK(open("10.0.0.8:1000"));
    CHECK(open("[::1]:1000"));
    bench.now += milliseconds(500);
    CHECK(open("10.0.0.7:1003"));
    CHECK_FALSE(open("10.0.0.7:1004"));
}
