// The whole broker on the real log and a simulated device.
#include "broker/node/node.hpp"

#include <doctest/doctest.h>

#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "tests/api/bench.hpp"
#include "tests/support/sim_storage.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

class NodeBench {
public:
    explicit NodeBench(config::Config config = small())
        : config_(std::move(config)),
          storage_(std::make_unique<SimStorage>(SimStorageOptions{.size = 4 * MiB})) {
        start();
    }

    static config::Config small() {
        config::Config config;
        config.segment_bytes = 64 * 1024;
        config.commit_interval = milliseconds(0);
        return config;
    }
    void start() {
        node = node::make_node(config_, {*storage_, entropy_});
        const Status started = node->start(now, wall);
        INFO(node->start_error_text());
        REQUIRE(started);
    }
    void restart_with(config::Config config) {
        config_ = std::move(config);
        start();
    }
    /// A SIGKILL: what the device has is what there is.
    void kill() {
        node.reset();
        storage_ = std::make_unique<SimStorage>(SimStorageOptions{.seed = ++seed_, .size = 4 * MiB},
                                                storage_->image());
    }
    /// Time and device until nothing happens any more.
    void settle() {
        for (int i = 0; i < 100; ++i) {
            node->on_storage(now, wall);
            if (node->deadline() <= now) node->on_deadline(now, wall);
            now += milliseconds(1);
            wall += milliseconds(1);
        }
    }
    node::SessionId open() { return *node->open_session(now, "peer"); }
    void send(node::SessionId id, ByteView bytes) {
        while (!bytes.empty()) {
            MutableBytes window = node->receive_window(now, id);
            for (int i = 0; window.empty() && i < 60; ++i) {  // told to wait, and left unread
                settle();
                window = node->receive_window(now, id);
            }
            REQUIRE_FALSE(window.empty());
            const std::size_t some = std::min(window.size(), bytes.size());
            copy_bytes(bytes.first(some), window);
            node->received(now, wall, id, some);
            bytes = bytes.subspan(some);
        }
    }
    Bytes take(node::SessionId id) {
        Bytes all;
        for (ByteView bytes = node->poll_write(id); !bytes.empty(); bytes = node->poll_write(id)) {
            all.insert(all.end(), bytes.begin(), bytes.end());
            node->sent(now, id, bytes.size());
        }
        return all;
    }
    template <class R, class M>
    R call(const M& m, std::int16_t version) {
        const node::SessionId id = open();
        send(id, request_frame(m, version));
        settle();
        last_ = take(id);
        node->session_closed(now, id);
        return ApiBench::decode_answer<R>(last_, version);
    }
    void create(const char* name) {
        wire::MetadataRequest::MetadataRequestTopic topic;
        topic.name = name;
        wire::MetadataRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::MetadataResponse>(request, 9);
        REQUIRE(response.topics.front().error_code == ErrorCode::none);
        cluster_id = response.cluster_id.view();
    }
    void create_full(const char* name, const char* policy) {
        wire::CreateTopicsRequest::CreatableTopicConfig config;
        config.name = "leat.full.policy";
        config.value = policy;
        wire::CreateTopicsRequest::CreatableTopic topic;
        topic.name = name;
        topic.num_partitions = 1;
        topic.replication_factor = 1;
        topic.configs = std::span(&config, 1);
        wire::CreateTopicsRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::CreateTopicsResponse>(request, 7);
        REQUIRE(response.topics.front().error_code == ErrorCode::none);
    }
    ErrorCode delete_before(std::int64_t offset) {
        wire::DeleteRecordsRequest::DeleteRecordsPartition partition;
        partition.offset = offset;
        wire::DeleteRecordsRequest::DeleteRecordsTopic topic;
        topic.name = "t";
        topic.partitions = std::span(&partition, 1);
        wire::DeleteRecordsRequest request;
        request.timeout_ms = 1000;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::DeleteRecordsResponse>(request, 2);
        const auto answered = response.topics.front();
        return answered.partitions.front().error_code;
    }
    ErrorCode delete_topic(std::string_view name) {
        const wire::StringView names[] = {name};
        wire::DeleteTopicsRequest request;
        request.topic_names = names;
        const auto response = call<wire::DeleteTopicsResponse>(request, 5);
        const auto answered = response.responses.front();
        return answered.error_code;
    }
    ErrorCode produced(ByteView frame) {
        const auto response = ApiBench::decode_answer<wire::ProduceResponse>(frame, 9);
        const auto topic = response.responses.front();
        return topic.partition_responses.front().error_code;
    }
    static Bytes produce_frame(ByteView batch, std::int16_t acks) {
        wire::ProduceRequest::PartitionProduceData data;
        data.records = batch;
        wire::ProduceRequest::TopicProduceData topic;
        topic.name = "t";
        topic.partition_data = std::span(&data, 1);
        wire::ProduceRequest request;
        request.acks = acks;
        request.timeout_ms = 30'000;
        request.topic_data = std::span(&topic, 1);
        return request_frame(request, 9);
    }
    static Bytes fetch_frame(std::int64_t offset, std::int32_t wait_ms) {
        wire::FetchRequest::FetchPartition partition;
        partition.fetch_offset = offset;
        partition.partition_max_bytes = 1 << 20;
        wire::FetchRequest::FetchTopic topic;
        topic.topic = "t";
        topic.partitions = std::span(&partition, 1);
        wire::FetchRequest request;
        request.max_wait_ms = wait_ms;
        request.min_bytes = 1;
        request.topics = std::span(&topic, 1);
        return request_frame(request, 12);
    }
    std::int64_t latest() {
        wire::ListOffsetsRequest::ListOffsetsPartition partition;
        partition.timestamp = -1;
        wire::ListOffsetsRequest::ListOffsetsTopic topic;
        topic.name = "t";
        topic.partitions = std::span(&partition, 1);
        wire::ListOffsetsRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::ListOffsetsResponse>(request, 7);
        const auto answered = response.topics.front();
        return answered.partitions.front().offset;
    }
    std::size_t fetched_bytes(ByteView frame) {
        const auto response = ApiBench::decode_answer<wire::FetchResponse>(frame, 12);
        const auto topic = response.responses.front();
        const auto partition = topic.partitions.front();
        CHECK(partition.error_code == ErrorCode::none);
        return partition.records.size();
    }
    std::string events() {
        std::string text;
        while (const auto event = node->poll_event())
            text += std::string(event->room) + ": " + event->text + "\n";
        return text;
    }

    Instant now = instant_ms(1000);
    WallTime wall = wall_ms(1'900'000'000'000);
    config::Config config_;
    SimEntropy entropy_{3};
    std::unique_ptr<SimStorage> storage_;
    std::unique_ptr<node::Node> node;
    std::string cluster_id;

private:
    std::uint64_t seed_ = 1;
    Bytes last_;
};

}  // namespace

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
    CHECK(bench.events().find("two writes in a row failed") != std::string::npos);
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
    for (int i = 0; i < 1'000 && produce({}) != ErrorCode::none; ++i) continue;
    REQUIRE(bench.latest() == 1);  // the device works again
    CHECK(produce(of_nine(1)) == ErrorCode::out_of_order_sequence_number);  // was under way
    CHECK(produce(of_nine(0)) == ErrorCode::none);
    CHECK(produce(of_nine(1)) == ErrorCode::none);
    CHECK(bench.latest() == 3);
}

TEST_CASE("node: a log whose segments are too small for message.max.bytes says what it takes") {
    config::Config config = NodeBench::small();
    config.message_bytes_max = 32 * 1024;
    CHECK(NodeBench(config).events().find("are refused") == std::string::npos);
    config.message_bytes_max = 32 * 1024 + 1;
    CHECK(NodeBench(config).events().find("batches above 32 KiB are refused") != std::string::npos);
}

TEST_CASE("node: a log that is full says so, once a minute, and with how many it refused") {
    NodeBench bench;
    bench.create_full("t", "reject");
    bench.events();
    const Bytes batch = make_batch({.value_bytes = 20'000});
    const auto id = bench.open();
    const auto produce = [&](int times) {
        for (int i = 0; i < times; ++i) {
            bench.send(id, NodeBench::produce_frame(batch, 1));
            bench.settle();
            bench.take(id);
        }
    };
    produce(250);  // 5 MB into 4
    CHECK(bench.events().find("log: the log is full, and what is in it may not be dropped") !=
          std::string::npos);
    produce(10);
    CHECK(bench.events().empty());
    bench.now += milliseconds(60'000);
    produce(1);
    CHECK(bench.events().find(" batches were refused") != std::string::npos);
}

TEST_CASE("node: what peers do wrong is told once per connection, with the peer's name") {
    config::Config config = NodeBench::small();
    config.connections_max = 2;
    NodeBench bench(config);
    bench.events();
    const auto bad = bench.open();
    bench.send(bad, from_hex("7fffffff"));
    CHECK(bench.node->wants_close(bad));
    CHECK(bench.events() ==
          "session: peer closed: a frame larger than request_bytes_max (2147483647)\n");
    bench.node->session_closed(bench.now, bad);
    const auto strange = bench.open();
    bench.send(strange, from_hex("00000008 ffff 0003 00000007"));
    CHECK(bench.events() ==
          "session: peer closed: an API key or version that this broker does not have (key -1, "
          "version 3)\n");
    bench.node->session_closed(bench.now, strange);
    (void)bench.open();
    (void)bench.open();
    for (int i = 0; i < 10; ++i) CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    const std::string told =
        "session: all 2 connections are taken: more are refused; raise max.connections\n";
    CHECK(bench.events() == told);
    bench.now += milliseconds(59'999);
    CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    CHECK(bench.events().empty());
    bench.now += milliseconds(1);  // days later it is still news to whoever looks then
    for (int i = 0; i < 10; ++i) CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    CHECK(bench.events() == told);
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

TEST_CASE("node: a topic that says nothing drops its oldest, and line, status and books tell it") {
    NodeBench bench;
    bench.create("t");
    bench.events();
    const auto producer = bench.open();
    int taken = 0;
    for (int tries = 0; taken < 400 && tries < 4'000; ++tries) {
        bench.send(producer, NodeBench::produce_frame(make_batch({.value_bytes = 20'000}), -1));
        bench.settle();
        const Bytes answer = bench.take(producer);
        REQUIRE_FALSE(answer.empty());
        if (bench.produced(answer) == ErrorCode::none) ++taken;
    }
    CHECK(taken == 400);  // twice what the device holds
    CHECK(bench.latest() == 400);
    const std::string status = bench.node->status_json(bench.now);
    CHECK(status.find("\"dropped for room\"") != std::string::npos);
    CHECK(status.find("\"balanced\":false") == std::string::npos);
    CHECK(status.find("\"dropped_records_total\":0") == std::string::npos);
    const std::string events = bench.events();
    CHECK(events.find(" records were dropped for room, undelivered") != std::string::npos);
    CHECK(events.find(" records were dropped", events.find("for room")) == std::string::npos);
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

TEST_CASE("node: records that go with their topic before they are delivered are in the ledger") {
    config::Config config = NodeBench::small();
    config.routes.push_back({.bootstrap = {{"127.0.0.1", 9}}, .topics = {"t"}});
    NodeBench bench(config);
    const auto lost = [&](int records, int topics) {
        const std::string entry =
            "\"losses\":[{\"id\":0,\"reason\":\"deleted undelivered\",\"from\":0,\"to\":" +
            std::to_string(records) + ",\"records\":" + std::to_string(records) + ",";
        const std::string status = bench.node->status_json(bench.now);
        const auto at = status.find(entry);
        return at != std::string::npos &&
               status.find("\"events\":" + std::to_string(topics), at) != std::string::npos;
    };
    for (int topics = 1; topics <= 2; ++topics) {
        bench.create("t");
        const auto producer = bench.open();
        bench.send(producer, NodeBench::produce_frame(make_batch({.records = 4}), -1));
        bench.settle();
        REQUIRE(bench.produced(bench.take(producer)) == ErrorCode::none);
        bench.node->session_closed(bench.now, producer);
        bench.events();
        REQUIRE(bench.delete_topic("t") == ErrorCode::none);
        CHECK(bench.events().find("route default: topic t is deleted here with 4 records that were "
                                  "not delivered: offsets 0 to 3 of t-0.") != std::string::npos);
        CHECK(lost(4 * topics, topics));
    }
    bench.create("not-forwarded");
    bench.events();
    REQUIRE(bench.delete_topic("not-forwarded") == ErrorCode::none);
    CHECK(bench.events().empty());
    const std::string status = bench.node->status_json(bench.now);
    CHECK(status.find("\"lost_records_total\":8") != std::string::npos);
    bench.kill();
    bench.start();
    CHECK(lost(8, 2));
}

TEST_CASE("node: a write that does not end is told after five seconds, and when it is over") {
    NodeBench bench;
    bench.create("t");
    bench.events();
    bench.storage_->hold(true);
    const auto producer = bench.open();
    bench.send(producer, NodeBench::produce_frame(make_batch({}), -1));
    const auto begin = bench.now;
    const auto is_slow = [&] {
        return bench.node->status_json(bench.now).find("\"write_is_slow\":true") !=
               std::string::npos;
    };
    bench.settle();
    REQUIRE(bench.storage_->writes_under_way() > 0);
    const auto pass = [&](milliseconds until) {  // as a driver does: it wakes for deadlines only
        while (bench.node->deadline() <= begin + until) {
            bench.now = std::max(bench.now, bench.node->deadline());
            bench.node->on_deadline(bench.now, bench.wall);
        }
        bench.now = begin + until;
    };
    pass(milliseconds(4'999));
    CHECK_FALSE(is_slow());
    CHECK(bench.events().empty());
    pass(milliseconds(5'100));
    CHECK(is_slow());
    CHECK(bench.events() ==
          "log: a write takes longer than 5 s: what is sent here waits; check the storage "
          "device\n");
    pass(milliseconds(12'000));
    CHECK(bench.events().empty());
    bench.storage_->hold(false);
    while (bench.storage_->writes_under_way() > 0) bench.storage_->complete(0);
    bench.settle();
    CHECK_FALSE(is_slow());
    CHECK(bench.events() == "log: the write that took so long is over, after 12 s\n");
    CHECK(bench.produced(bench.take(producer)) == ErrorCode::none);
    CHECK(bench.node->status_json(bench.now).find("\"slow_writes_total\":1") !=
          std::string::npos);
}

TEST_CASE("node: the status says for how many hours there is room at this rate") {
    NodeBench bench;
    bench.create_full("t", "reject");
    const auto producer = bench.open();
    const auto produce = [&] {
        bench.send(producer, NodeBench::produce_frame(make_batch({.value_bytes = 10'000}), -1));
        bench.settle();
        REQUIRE(bench.produced(bench.take(producer)) == ErrorCode::none);
    };
    const auto hours_left = [&] {
        const std::string status = bench.node->status_json(bench.now);
        const std::size_t at = status.find("\"hours_left\":");
        return at == std::string::npos ? -1 : std::stoi(status.substr(at + 13));
    };
    CHECK(hours_left() == -1);
    for (int i = 0; i < 60; ++i) {  // 12 KiB a minute
        produce();
        bench.now += milliseconds(60'000);
        bench.wall += milliseconds(60'000);
        bench.settle();
    }
    // Of 63 segments 4 are kept and some 12 used: 3 MB at 737 KB an hour.
    CHECK(hours_left() >= 3);
    CHECK(hours_left() <= 4);
}

TEST_CASE("node: a page or segment size that the log was not made with is told at the start") {
    NodeBench bench;
    CHECK(bench.events().find("this log was made with") == std::string::npos);
    bench.kill();
    config::Config other = NodeBench::small();
    other.page_bytes = 16'384;
    other.segment_bytes = 128 * 1024;
    bench.restart_with(other);
    const std::string told = bench.events();
    CHECK(told.find("log.page.bytes is 16384, but this log was made with 4096") !=
          std::string::npos);
    CHECK(told.find("log.segment.bytes is 131072, but this log was made with 65536") !=
          std::string::npos);
}
