#include "sdk/wire/api_key.hpp"

namespace leat::wire {
namespace {

constexpr std::int16_t never = Versions::never;

// Sorted by key. The second range is narrower where a higher version means behaviour, not layout,
// that brokers here do not have: transactions version 2, two-phase commit.
constexpr Api table[] = {
    {ApiKey::produce, "Produce", {3, 13, 9}, {3, 13, 9}, 0},
    {ApiKey::fetch, "Fetch", {4, 18, 12}, {4, 18, 12}, 4},
    {ApiKey::list_offsets, "ListOffsets", {1, 11, 6}, {1, 11, 6}, 1},
    {ApiKey::metadata, "Metadata", {0, 13, 9}, {0, 13, 9}, 0},
    {ApiKey::offset_commit, "OffsetCommit", {2, 10, 8}, {2, 10, 8}, 2},
    {ApiKey::offset_fetch, "OffsetFetch", {1, 10, 6}, {1, 10, 6}, 1},
    {ApiKey::find_coordinator, "FindCoordinator", {0, 6, 3}, {0, 6, 3}, 0},
    {ApiKey::join_group, "JoinGroup", {0, 9, 6}, {0, 9, 6}, 0},
    {ApiKey::heartbeat, "Heartbeat", {0, 4, 4}, {0, 4, 4}, 0},
    {ApiKey::leave_group, "LeaveGroup", {0, 5, 4}, {0, 5, 4}, 0},
    {ApiKey::sync_group, "SyncGroup", {0, 5, 4}, {0, 5, 4}, 0},
    {ApiKey::describe_groups, "DescribeGroups", {0, 6, 5}, {0, 6, 5}, 0},
    {ApiKey::list_groups, "ListGroups", {0, 5, 3}, {0, 5, 3}, 0},
    {ApiKey::sasl_handshake, "SaslHandshake", {0, 1, never}, {0, 1, never}, 0},
    {ApiKey::api_versions, "ApiVersions", {0, 4, 3}, {0, 4, 3}, 0},
    {ApiKey::create_topics, "CreateTopics", {2, 7, 5}, {2, 7, 5}, 2},
    {ApiKey::delete_topics, "DeleteTopics", {1, 6, 4}, {1, 6, 4}, 1},
    {ApiKey::delete_records, "DeleteRecords", {0, 2, 2}, {0, 2, 2}, 0},
    {ApiKey::init_producer_id, "InitProducerId", {0, 6, 2}, {0, 5, 2}, 0},
    {ApiKey::offset_for_leader_epoch, "OffsetForLeaderEpoch", {2, 4, 4}, {2, 4, 4}, 2},
    {ApiKey::describe_acls, "DescribeAcls", {1, 3, 2}, {1, 3, 2}, 1},
    {ApiKey::create_acls, "CreateAcls", {1, 3, 2}, {1, 3, 2}, 1},
    {ApiKey::delete_acls, "DeleteAcls", {1, 3, 2}, {1, 3, 2}, 1},
    {ApiKey::describe_configs, "DescribeConfigs", {1, 4, 4}, {1, 4, 4}, 1},
    {ApiKey::alter_configs, "AlterConfigs", {0, 2, 2}, {0, 2, 2}, 0},
    {ApiKey::describe_log_dirs, "DescribeLogDirs", {1, 5, 2}, {1, 5, 2}, 1},
    {ApiKey::sasl_authenticate, "SaslAuthenticate", {0, 2, 2}, {0, 2, 2}, 0},
    {ApiKey::create_partitions, "CreatePartitions", {0, 3, 2}, {0, 3, 2}, 0},
    {ApiKey::delete_groups, "DeleteGroups", {0, 2, 2}, {0, 2, 2}, 0},
    {ApiKey::elect_leaders, "ElectLeaders", {0, 2, 2}, {0, 2, 2}, 0},
    {ApiKey::incremental_alter_configs, "IncrementalAlterConfigs", {0, 1, 1}, {0, 1, 1}, 0},
    {ApiKey::alter_partition_reassignments, "AlterPartitionReassignments", {0, 1, 0}, {0, 1, 0}, 0},
    {ApiKey::list_partition_reassignments, "ListPartitionReassignments", {0, 0, 0}, {0, 0, 0}, 0},
    {ApiKey::offset_delete, "OffsetDelete", {0, 0, never}, {0, 0, never}, 0},
    {ApiKey::describe_client_quotas, "DescribeClientQuotas", {0, 1, 1}, {0, 1, 1}, 0},
    {ApiKey::alter_client_quotas, "AlterClientQuotas", {0, 1, 1}, {0, 1, 1}, 0},
    {ApiKey::describe_user_scram_credentials, "DescribeUserScramCredentials", {0, 0, 0}, {0, 0, 0}, 0},
    {ApiKey::describe_quorum, "DescribeQuorum", {0, 2, 0}, {0, 2, 0}, 0},
    {ApiKey::update_features, "UpdateFeatures", {0, 2, 0}, {0, 2, 0}, 0},
    {ApiKey::describe_cluster, "DescribeCluster", {0, 2, 0}, {0, 2, 0}, 0},
    {ApiKey::describe_producers, "DescribeProducers", {0, 0, 0}, {0, 0, 0}, 0},
    {ApiKey::consumer_group_heartbeat, "ConsumerGroupHeartbeat", {0, 1, 0}, {0, 1, 0}, 0},
    {ApiKey::consumer_group_describe, "ConsumerGroupDescribe", {0, 1, 0}, {0, 1, 0}, 0},
    {ApiKey::list_config_resources, "ListConfigResources", {0, 1, 0}, {0, 1, 0}, 0},
    {ApiKey::describe_topic_partitions, "DescribeTopicPartitions", {0, 0, 0}, {0, 0, 0}, 0},
};

consteval bool agrees_with_flexible_since() {
    for (const Api& api : table)
        if (api.codec.flexible != flexible_since(api.key) ||
            api.accepted.flexible != api.codec.flexible)
            return false;
    return true;
}
static_assert(agrees_with_flexible_since());

}  // namespace

std::span<const Api> apis() noexcept { return table; }

const Api* find_api(std::int16_t key) noexcept {
    for (const Api& api : table)
        if (static_cast<std::int16_t>(api.key) == key) return &api;
    return nullptr;
}

}  // namespace leat::wire
