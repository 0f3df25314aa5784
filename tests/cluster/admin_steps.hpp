// Brokers that the admin client is tried against: they refuse as often as they are told, and answer
// with as little as shows that the right one was asked the right thing.
#pragma once

#include "sdk/cluster/admin.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/16_list_groups.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/35_describe_log_dirs.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "sdk/wire/api/42_delete_groups.hpp"
#include "sdk/wire/api/44_incremental_alter_configs.hpp"
#include "sdk/wire/api/47_offset_delete.hpp"
#include "sdk/wire/api/48_describe_client_quotas.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "sdk/wire/api/74_list_config_resources.hpp"
#include "tests/cluster/rig.hpp"

namespace leat::testing {

using cluster::AdminAnswer;
using wire::ApiKey;
using wire::ErrorCode;

/// Three brokers, a group, and faults by kind of request.
struct Steps {
    Steps() : rig(brokers) {
        for (std::int32_t node : {0, 1, 2}) brokers.add_broker(node);
        brokers.controller = 2;
        brokers.add_topic("t", {0, 1});
        brokers.on_any = [this](std::int32_t node, const wire::Request& request) {
            return handle(node, request);
        };
    }

    ModelCluster brokers;
    Rig rig;
    cluster::Admin admin{rig.router};
    std::int32_t coordinator = 1;
    bool speaks_consumer = false;  ///< the group's protocol is that of KIP-848
    std::map<ApiKey, std::pair<ErrorCode, int>> errors;  ///< and how often it is answered
    std::map<ApiKey, int> carried_out;
    std::function<void()> on_found;  ///< a coordinator was named; nobody was asked yet

    AdminAnswer answer() {
        std::optional<AdminAnswer> got;
        REQUIRE(rig.run([&] { return (got = admin.poll_answer()).has_value(); }));
        CHECK(!admin.poll_answer());
        return *std::move(got);
    }

private:
    template <class M>
    static M body(const wire::Request& request) {
        auto message = wire::decode<M>(request.body, request.header.api_version);
        REQUIRE(message);
        return *message;
    }

    /// What `fill` makes of each partition that is asked for.
    template <class Entry>
    static std::vector<Entry> each_partition(const auto& topics, auto fill) {
        std::vector<Entry> list;
        for (const auto& topic : topics)
            for (const auto& partition : topic.partitions) fill(partition, list.emplace_back());
        return list;
    }

    std::optional<Bytes> handle(std::int32_t node, const wire::Request& request) {
        const ApiKey key = request.header.api_key;
        ErrorCode error = ErrorCode::none;
        if (auto& [planned, times] = errors[key]; times > 0) {
            --times;
            error = planned;
        }
        const bool is_of_group = key == ApiKey::offset_commit || key == ApiKey::offset_fetch ||
                                 key == ApiKey::describe_groups || key == ApiKey::delete_groups ||
                                 key == ApiKey::offset_delete ||
                                 key == ApiKey::consumer_group_describe;
        const bool is_of_controller = key == ApiKey::create_partitions ||
                                      key == ApiKey::incremental_alter_configs ||
                                      key == ApiKey::alter_client_quotas;
        if (error == ErrorCode::none && is_of_group && node != coordinator)
            error = ErrorCode::not_coordinator;
        if (error == ErrorCode::none && is_of_controller && node != brokers.controller)
            error = ErrorCode::not_controller;
        if (error == ErrorCode::none) ++carried_out[key];
        const auto send = [&](const auto& response) {
            return ModelBroker::answer(request.header, response, request.header.api_version);
        };
        const auto send_one = [&]<class Response, class List>(List Response::*list, auto& entry) {
            Response response;
            response.*list = std::span(&entry, 1);
            return send(response);
        };
        switch (key) {
            case ApiKey::create_topics: {
                if (error == ErrorCode::none) return std::nullopt;
                wire::CreateTopicsResponse::CreatableTopicResult result;
                result.name = "new";
                result.error_code = error;
                return send_one(&wire::CreateTopicsResponse::topics, result);
            }
            case ApiKey::delete_topics: {
                if (error == ErrorCode::none) return std::nullopt;
                wire::DeleteTopicsResponse::DeletableTopicResult result;
                result.name = "t";
                result.error_code = error;
                return send_one(&wire::DeleteTopicsResponse::responses, result);
            }
            case ApiKey::list_offsets: {
                const auto ask = body<wire::ListOffsetsRequest>(request);
                using Entry = wire::ListOffsetsResponse::ListOffsetsPartitionResponse;
                const auto list =
                    each_partition<Entry>(ask.topics, [&](const auto& partition, Entry& one) {
                        one.partition_index = partition.partition_index;
                        one.error_code = error;
                        one.offset = error == ErrorCode::none ? 7 : -1;
                    });
                wire::ListOffsetsResponse::ListOffsetsTopicResponse topic;
                topic.name = "t";
                topic.partitions = list;
                return send_one(&wire::ListOffsetsResponse::topics, topic);
            }
            case ApiKey::delete_records: {
                const auto ask = body<wire::DeleteRecordsRequest>(request);
                using Entry = wire::DeleteRecordsResponse::DeleteRecordsPartitionResult;
                const auto list =
                    each_partition<Entry>(ask.topics, [&](const auto& partition, Entry& one) {
                        one.partition_index = partition.partition_index;
                        one.error_code = error;
                        // Partition n is led by broker n.
                        if (error == ErrorCode::none && partition.partition_index != node)
                            one.error_code = ErrorCode::not_leader_or_follower;
                        one.low_watermark =
                            one.error_code == ErrorCode::none ? partition.offset : -1;
                    });
                wire::DeleteRecordsResponse::DeleteRecordsTopicResult topic;
                topic.name = "t";
                topic.partitions = list;
                return send_one(&wire::DeleteRecordsResponse::topics, topic);
            }
            case ApiKey::offset_for_leader_epoch: {
                const auto ask = body<wire::OffsetForLeaderEpochRequest>(request);
                CHECK(ask.replica_id == -1);
                using Entry = wire::OffsetForLeaderEpochResponse::EpochEndOffset;
                const auto list =
                    each_partition<Entry>(ask.topics, [&](const auto& partition, Entry& one) {
                        CHECK(partition.current_leader_epoch == -1);
                        one.partition = partition.partition;
                        one.error_code = error;
                        if (error != ErrorCode::none) return;
                        one.leader_epoch = partition.leader_epoch;
                        one.end_offset = 100 + partition.leader_epoch;
                    });
                wire::OffsetForLeaderEpochResponse::OffsetForLeaderTopicResult topic;
                topic.topic = "t";
                topic.partitions = list;
                return send_one(&wire::OffsetForLeaderEpochResponse::topics, topic);
            }
            case ApiKey::describe_producers: {
                const auto ask = body<wire::DescribeProducersRequest>(request);
                using Topic = wire::DescribeProducersResponse::TopicResponse;
                Topic::PartitionResponse::ProducerState producer;
                producer.producer_id = 1000 + node;
                producer.last_sequence = 9;
                std::vector<Topic::PartitionResponse> list;
                for (const auto& topic : ask.topics)
                    for (std::int32_t partition : topic.partition_indexes) {
                        auto& one = list.emplace_back();
                        one.partition_index = partition;
                        one.error_code = error;
                        if (error == ErrorCode::none)
                            one.active_producers = std::span(&producer, 1);
                    }
                Topic topic;
                topic.name = "t";
                topic.partitions = list;
                return send_one(&wire::DescribeProducersResponse::topics, topic);
            }
            case ApiKey::list_config_resources: {
                const auto ask = body<wire::ListConfigResourcesRequest>(request);
                wire::ListConfigResourcesResponse::ConfigResource resource;
                resource.resource_name = "t";
                resource.resource_type = 2;
                wire::ListConfigResourcesResponse response;
                response.error_code =
                    ask.resource_types.size() == 1 ? error : ErrorCode::invalid_request;
                if (error == ErrorCode::none) response.config_resources = std::span(&resource, 1);
                return send(response);
            }
            case ApiKey::describe_log_dirs: {
                const std::string path = "/data/" + std::to_string(node);
                using Dir = wire::DescribeLogDirsResponse::DescribeLogDirsResult;
                Dir::DescribeLogDirsTopic::DescribeLogDirsPartition partition;
                partition.partition_index = node;
                partition.partition_size = 1000 + node;
                Dir::DescribeLogDirsTopic topic;
                topic.name = "t";
                topic.partitions = std::span(&partition, 1);
                Dir dir;
                dir.log_dir = path;
                dir.topics = std::span(&topic, 1);
                dir.total_bytes = 5000;
                wire::DescribeLogDirsResponse response;
                response.error_code = error;
                if (error == ErrorCode::none) response.results = std::span(&dir, 1);
                return send(response);
            }
            case ApiKey::describe_client_quotas: {
                const auto ask = body<wire::DescribeClientQuotasRequest>(request);
                const bool is_right = ask.components.size() == 1 &&
                                      (*ask.components.begin()).entity_type.view() == "client-id";
                using Entry = wire::DescribeClientQuotasResponse::EntryData;
                Entry::EntityData entities[2];
                entities[0] = {"client-id", "pump"};
                entities[1] = {"user", nullptr};
                Entry::ValueData value{"producer_byte_rate", 1024.5};
                Entry entry;
                entry.entity = entities;
                entry.values = std::span(&value, 1);
                wire::DescribeClientQuotasResponse response;
                response.error_code = is_right ? error : ErrorCode::invalid_request;
                if (error == ErrorCode::none) response.entries = std::span(&entry, 1);
                return send(response);
            }
            case ApiKey::alter_client_quotas: {
                const auto ask = body<wire::AlterClientQuotasRequest>(request);
                bool is_right = ask.entries.size() == 1;
                for (const auto& entry : ask.entries) {
                    for (const auto& part : entry.entity)
                        is_right &= part.entity_type.view() == "user" && part.entity_name.is_null();
                    for (const auto& op : entry.ops)
                        is_right &= op.remove == (op.key.view() == "request_percentage");
                }
                wire::AlterClientQuotasResponse::EntryData result;
                result.error_code = is_right ? error : ErrorCode::invalid_request;
                return send_one(&wire::AlterClientQuotasResponse::entries, result);
            }
            case ApiKey::incremental_alter_configs: {
                wire::IncrementalAlterConfigsResponse::AlterConfigsResourceResponse result;
                result.error_code = error;
                return send_one(&wire::IncrementalAlterConfigsResponse::responses, result);
            }
            case ApiKey::create_partitions: {
                wire::CreatePartitionsResponse::CreatePartitionsTopicResult result;
                result.name = "t";
                result.error_code = error;
                return send_one(&wire::CreatePartitionsResponse::results, result);
            }
            case ApiKey::find_coordinator: {
                wire::FindCoordinatorResponse::Coordinator found;
                found.key = "g";
                found.node_id = coordinator;
                found.error_code = error;
                wire::FindCoordinatorResponse response;
                response.coordinators = std::span(&found, 1);
                const Bytes bytes = send(response);
                if (on_found && error == ErrorCode::none) std::exchange(on_found, nullptr)();
                return bytes;
            }
            case ApiKey::list_groups: {
                const std::string id = "g" + std::to_string(node);
                wire::ListGroupsResponse::ListedGroup group;
                group.group_id = id;
                wire::ListGroupsResponse response;
                response.error_code = error;
                if (error == ErrorCode::none) response.groups = std::span(&group, 1);
                return send(response);
            }
            case ApiKey::describe_groups: {
                wire::DescribeGroupsResponse::DescribedGroup group;
                group.group_id = "g";
                group.group_state = "Empty";
                group.error_code = error;
                return send_one(&wire::DescribeGroupsResponse::groups, group);
            }
            case ApiKey::consumer_group_describe: {
                using Response = wire::ConsumerGroupDescribeResponse;
                const std::int32_t numbers[] = {0, 1};
                Response::TopicPartitions has, shall_have;
                has.topic_name = shall_have.topic_name = "t";
                has.partitions = std::span(numbers, 1);
                shall_have.partitions = std::span(numbers, 2);
                Response::Member member;
                member.member_id = "m";
                member.member_epoch = 4;
                member.assignment.topic_partitions = std::span(&has, 1);
                member.target_assignment.topic_partitions = std::span(&shall_have, 1);
                Response::DescribedGroup group;
                group.group_id = "g";
                group.group_state = "Reconciling";
                group.group_epoch = 5;
                group.assignor_name = "uniform";
                group.error_code = error == ErrorCode::none && !speaks_consumer
                                       ? ErrorCode::group_id_not_found
                                       : error;
                if (group.error_code == ErrorCode::none) group.members = std::span(&member, 1);
                return send_one(&Response::groups, group);
            }
            case ApiKey::delete_groups: {
                wire::DeleteGroupsResponse::DeletableGroupResult result;
                result.group_id = "g";
                result.error_code = error;
                return send_one(&wire::DeleteGroupsResponse::results, result);
            }
            case ApiKey::offset_fetch: {
                wire::OffsetFetchResponse::OffsetFetchResponsePartitions partition;
                partition.committed_offset = 11;
                wire::OffsetFetchResponse::OffsetFetchResponseTopics topic;
                topic.name = "t";
                topic.partitions = std::span(&partition, 1);
                wire::OffsetFetchResponse::OffsetFetchResponseGroup group;
                group.group_id = "g";
                group.error_code = error;
                if (error == ErrorCode::none) group.topics = std::span(&topic, 1);
                return send_one(&wire::OffsetFetchResponse::groups, group);
            }
            case ApiKey::offset_commit: {
                wire::OffsetCommitResponse::OffsetCommitResponsePartition partition;
                partition.error_code = error;
                wire::OffsetCommitResponse::OffsetCommitResponseTopic topic;
                topic.name = "t";
                topic.partitions = std::span(&partition, 1);
                return send_one(&wire::OffsetCommitResponse::topics, topic);
            }
            case ApiKey::offset_delete: {
                wire::OffsetDeleteResponse response;
                response.error_code = error;
                return send(response);
            }
            default:
                return std::nullopt;
        }
    }
};

}  // namespace leat::testing
