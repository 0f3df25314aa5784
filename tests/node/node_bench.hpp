// The whole broker on the real log and a simulated device.
#pragma once

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

namespace leat::test {

using wire::ErrorCode;

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

}  // namespace leat::test
