// Every operation of the admin client with a failure at every step: a lost connection, each answer
// that allows another try, a controller or coordinator that moved, a broker that is named and dead.
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

using namespace leat;
using namespace leat::testing;
using cluster::AdminAnswer;
using wire::ApiKey;
using wire::ErrorCode;

namespace {

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

struct Operation {
    const char* name;
    ApiKey key;
    std::function<void(Steps&)> start;
    std::function<bool(const AdminAnswer&)> is_right;
    std::vector<ErrorCode> again;  ///< answers that allow another try
    bool is_of_group = false, is_of_controller = false;
};

std::vector<Operation> operations() {
    using E = ErrorCode;
    const cluster::Admin::Options options{.timeout = milliseconds{60'000}};
    const auto whole = [](const AdminAnswer& answer) { return answer.error == E::none; };
    const auto topic = [](const AdminAnswer& answer) {
        // Asked again after a lost answer, the first one shows.
        return answer.topics.size() == 1 &&
               (answer.topics[0].error == E::none ||
                answer.topics[0].error == E::topic_already_exists ||
                answer.topics[0].error == E::unknown_topic_or_partition);
    };
    const std::vector<E> of_controller{E::not_controller, E::request_timed_out};
    const std::vector<E> of_group{E::coordinator_load_in_progress, E::coordinator_not_available,
                                  E::not_coordinator};
    std::vector<E> of_commit = of_group, of_fetch = of_group;
    of_commit.push_back(E::request_timed_out);
    of_fetch.push_back(E::unstable_offset_commit);
    return {
        {"create_topics", ApiKey::create_topics,
         [=](Steps& s) {
             s.admin.create_topics(s.rig.now, {{.name = "new", .partitions = 1, .configs = {}}},
                                   options);
         },
         topic, of_controller, false, true},
        {"delete_topics", ApiKey::delete_topics,
         [=](Steps& s) { s.admin.delete_topics(s.rig.now, {"t"}, options); }, topic, of_controller,
         false, true},
        {"describe",
         ApiKey::metadata,
         [=](Steps& s) { s.admin.describe(s.rig.now, std::nullopt, options); },
         [](const AdminAnswer& answer) { return answer.cluster.topics.contains("t"); },
         {}},
        {"describe_configs",
         ApiKey::describe_configs,
         [=](Steps& s) {
             s.admin.describe_configs(s.rig.now, cluster::ConfigResource::topic, "t", options);
         },
         [](const AdminAnswer& answer) { return answer.configs.size() == 1; },
         {}},
        {"list_offsets",
         ApiKey::list_offsets,
         [=](Steps& s) {
             s.admin.list_offsets(s.rig.now, "t", {0, 1}, -1, options);
         },
         [](const AdminAnswer& answer) {
             return answer.offsets.size() == 2 && answer.offsets[0].offset == 7 &&
                    answer.offsets[1].offset == 7;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::replica_not_available,
          E::unknown_topic_or_partition, E::offset_not_available, E::unknown_leader_epoch,
          E::fenced_leader_epoch, E::kafka_storage_error, E::request_timed_out}},
        {"delete_records",
         ApiKey::delete_records,
         [=](Steps& s) {
             s.admin.delete_records(s.rig.now, "t", {{0, 5}, {1, 6}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.log_starts.size() == 2 && answer.log_starts[0].offset == 5 &&
                    answer.log_starts[1].offset == 6 && answer.log_starts[1].partition == 1;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::unknown_topic_or_partition,
          E::kafka_storage_error, E::request_timed_out}},
        {"epoch_ends",
         ApiKey::offset_for_leader_epoch,
         [=](Steps& s) {
             s.admin.epoch_ends(s.rig.now, "t", {{0, 3}, {1, 4}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.epoch_ends.size() == 2 && answer.epoch_ends[0].offset == 103 &&
                    answer.epoch_ends[1].offset == 104 && answer.epoch_ends[1].epoch == 4;
         },
         {E::not_leader_or_follower, E::leader_not_available, E::unknown_topic_or_partition,
          E::fenced_leader_epoch, E::unknown_leader_epoch, E::kafka_storage_error}},
        {"describe_producers",
         ApiKey::describe_producers,
         [=](Steps& s) {
             s.admin.describe_producers(s.rig.now, "t", {1, 0}, options);
         },
         [](const AdminAnswer& answer) {  // partition n is led by broker n
             return answer.producers.size() == 2 && answer.producers[0].partition == 0 &&
                    answer.producers[0].producers.at(0).producer_id == 1000 &&
                    answer.producers[1].producers.at(0).producer_id == 1001 &&
                    answer.producers[1].producers[0].last_sequence == 9;
         },
         {E::not_leader_or_follower, E::unknown_topic_or_partition, E::kafka_storage_error}},
        {"list_config_resources",
         ApiKey::list_config_resources,
         [=](Steps& s) { s.admin.list_config_resources(s.rig.now, {2}, options); },
         [](const AdminAnswer& answer) {
             return answer.error == E::none && answer.resources.size() == 1 &&
                    answer.resources[0].name == "t" && answer.resources[0].kind == 2;
         },
         {E::request_timed_out}},
        {"describe_log_dirs",
         ApiKey::describe_log_dirs,
         [=](Steps& s) { s.admin.describe_log_dirs(s.rig.now, options); },
         [](const AdminAnswer& answer) {
             std::int64_t bytes = 0;
             for (const auto& dir : answer.log_dirs)
                 for (const auto& replica : dir.replicas) bytes += replica.bytes;
             return answer.log_dirs.size() == 3 && bytes == 3003 &&
                    answer.log_dirs[2].path == "/data/" + std::to_string(answer.log_dirs[2].broker);
         },
         {E::kafka_storage_error, E::request_timed_out}},
        {"describe_quotas",
         ApiKey::describe_client_quotas,
         [=](Steps& s) {
             s.admin.describe_quotas(
                 s.rig.now, {{"client-id", cluster::QuotaFilter::Match::name, "pump"}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.quotas.size() == 1 &&
                    answer.quotas[0].entity ==
                        cluster::QuotaEntity{{"client-id", "pump"}, {"user", std::nullopt}} &&
                    answer.quotas[0].values.at("producer_byte_rate") == 1024.5;
         },
         {E::request_timed_out}},
        {"alter_quotas", ApiKey::alter_client_quotas,
         [=](Steps& s) {
             s.admin.alter_quotas(s.rig.now, {{"user", std::nullopt}},
                                  {{"consumer_byte_rate", 5}, {"request_percentage", std::nullopt}},
                                  options);
         },
         whole, of_controller, false, true},
        {"alter_configs", ApiKey::incremental_alter_configs,
         [=](Steps& s) {
             s.admin.alter_configs(s.rig.now, cluster::ConfigResource::topic, "t",
                                   {{.name = "retention.ms", .value = "1"}}, options);
         },
         whole, of_controller, false, true},
        {"create_partitions", ApiKey::create_partitions,
         [=](Steps& s) { s.admin.create_partitions(s.rig.now, "t", 3, options); }, whole,
         of_controller, false, true},
        {"list_groups",
         ApiKey::list_groups,
         [=](Steps& s) { s.admin.list_groups(s.rig.now, options); },
         [](const AdminAnswer& answer) { return answer.groups.size() == 3; },
         {E::coordinator_load_in_progress, E::coordinator_not_available}},
        {"describe_group", ApiKey::describe_groups,
         [=](Steps& s) { s.admin.describe_group(s.rig.now, "g", options); },
         [](const AdminAnswer& answer) {
             return answer.group.state == "Empty" && answer.group.type == "Classic";
         },
         of_group, true},
        {"describe_group of the consumer protocol", ApiKey::consumer_group_describe,
         [=](Steps& s) {
             s.speaks_consumer = true;
             s.admin.describe_group(s.rig.now, "g", options);
         },
         [](const AdminAnswer& answer) {
             const cluster::GroupPicture& group = answer.group;
             return group.state == "Reconciling" && group.type == "Consumer" && group.epoch == 5 &&
                    group.protocol == "uniform" && group.members.size() == 1 &&
                    group.members[0].epoch == 4 &&
                    group.members[0].assignment == cluster::Partitions{{"t", 0}} &&
                    group.members[0].target == cluster::Partitions{{"t", 0}, {"t", 1}};
         },
         of_group, true},
        {"delete_group", ApiKey::delete_groups,
         [=](Steps& s) { s.admin.delete_group(s.rig.now, "g", options); }, whole, of_group, true},
        {"group_offsets", ApiKey::offset_fetch,
         [=](Steps& s) { s.admin.group_offsets(s.rig.now, "g", options); },
         [](const AdminAnswer& answer) {
             return answer.group_offsets.at({"t", 0}).offset == 11;
         },
         of_fetch, true},
        {"alter_group_offsets", ApiKey::offset_commit,
         [=](Steps& s) {
             s.admin.alter_group_offsets(s.rig.now, "g", {{{"t", 0}, {5, -1, ""}}}, options);
         },
         [](const AdminAnswer& answer) {
             return answer.error == E::none && answer.refused.empty();
         },
         of_commit, true},
        {"delete_group_offsets", ApiKey::offset_delete,
         [=](Steps& s) {
             s.admin.delete_group_offsets(s.rig.now, "g", {{"t", 0}}, options);
         },
         whole, of_group, true},
    };
}

void check_right(const Operation& operation, Steps& steps) {
    const AdminAnswer answer = steps.answer();
    REQUIRE(answer.status);
    CHECK(operation.is_right(answer));
}

}  // namespace

TEST_CASE("admin steps: a connection lost at any step of any operation delays its answer only") {
    int swept = 0;
    for (const Operation& operation : operations())
        for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                               Rig::Break::after_request, Rig::Break::half_answer})
            for (int step = 0;; ++step) {
                INFO(operation.name, " how=", static_cast<int>(how), " step=", step);
                REQUIRE(step < 100);
                Steps steps;
                steps.rig.how = how;
                steps.rig.break_at = step;
                operation.start(steps);
                check_right(operation, steps);
                if (!steps.rig.broke) break;
                ++swept;
            }
    MESSAGE("breaks swept: ", swept);
    CHECK(swept >= 250);
}

TEST_CASE(
    "admin steps: each answer that allows another try, to each request, once and three times") {
    for (const Operation& operation : operations()) {
        std::vector<std::pair<ApiKey, ErrorCode>> faults;
        for (ErrorCode error : operation.again) faults.emplace_back(operation.key, error);
        if (operation.is_of_group)
            for (ErrorCode error :
                 {ErrorCode::coordinator_not_available, ErrorCode::coordinator_load_in_progress})
                faults.emplace_back(ApiKey::find_coordinator, error);
        for (const auto& [key, error] : faults)
            for (int times : {1, 3}) {
                INFO(operation.name, " ", wire::name(error), " times=", times);
                Steps steps;
                steps.errors[key] = {error, times};
                operation.start(steps);
                check_right(operation, steps);
                CHECK(steps.errors[key].second == 0);
                CHECK(steps.carried_out[operation.key] >= 1);
            }
    }
}

TEST_CASE(
    "admin steps: the coordinator moves after it was found; its broker answers, dies or leaves") {
    enum class Old : std::uint8_t { answers, is_dead, has_left };
    for (const Operation& operation : operations()) {
        if (!operation.is_of_group) continue;
        for (const Old old : {Old::answers, Old::is_dead, Old::has_left}) {
            INFO(operation.name, " old=", static_cast<int>(old));
            Steps steps;
            bool cut = false;
            steps.on_found = [&] {
                steps.coordinator = 0;
                if (old == Old::is_dead) steps.brokers.dead.insert(1);
                if (old == Old::has_left) steps.brokers.up.erase(1);
                cut = old != Old::answers;
            };
            steps.rig.on_idle = [&] {
                if (!std::exchange(cut, false)) return false;
                steps.rig.drop_connections(1);
                return true;
            };
            const Instant start = steps.rig.now;
            operation.start(steps);
            check_right(operation, steps);
            CHECK(steps.rig.now - start < milliseconds{10'000});
        }
    }
}

TEST_CASE("admin steps: the controller moves, and the old one is dead") {
    for (const Operation& operation : operations()) {
        if (!operation.is_of_controller) continue;
        INFO(operation.name);
        Steps steps;
        operation.start(steps);
        check_right(operation, steps);
        steps.brokers.controller = 0;
        steps.brokers.dead.insert(2);
        steps.rig.drop_connections(2);
        const Instant start = steps.rig.now;
        operation.start(steps);
        check_right(operation, steps);
        CHECK(steps.rig.now - start < milliseconds{10'000});
    }
}

TEST_CASE("admin steps: what cannot be helped is told at once and asked once") {
    for (const Operation& operation : operations()) {
        if (!operation.is_of_group && operation.key != ApiKey::list_groups) continue;
        INFO(operation.name);
        Steps steps;
        steps.errors[operation.key] = {ErrorCode::group_authorization_failed, 100};
        operation.start(steps);
        const AdminAnswer answer = steps.answer();
        REQUIRE(answer.status);
        const bool is_told = answer.error == ErrorCode::group_authorization_failed ||
                             (!answer.refused.empty() && answer.refused.begin()->second ==
                                                             ErrorCode::group_authorization_failed);
        CHECK(is_told);
        CHECK(steps.errors[operation.key].second == 99);
    }
}
