// One function per API key, each in the file with the key's number. All of them take the call over.
#pragma once

#include "broker/api/context.hpp"

namespace leat::api {

void produce(Context& context, Call call);           // 00_produce.cpp
void fetch(Context& context, Call call);             // 01_fetch.cpp
void list_offsets(Context& context, Call call);      // 02_list_offsets.cpp
void metadata(Context& context, Call call);          // 03_metadata.cpp
void offset_commit(Context& context, Call call);  // 08_offset_commit.cpp
void offset_fetch(Context& context, Call call);  // 09_offset_fetch.cpp
void find_coordinator(Context& context, Call call);  // 10_find_coordinator.cpp
void join_group(Context& context, Call call);  // 11_join_group.cpp
void heartbeat(Context& context, Call call);  // 12_heartbeat.cpp
void leave_group(Context& context, Call call);  // 13_leave_group.cpp
void sync_group(Context& context, Call call);  // 14_sync_group.cpp
void describe_groups(Context& context, Call call);  // 15_describe_groups.cpp
void list_groups(Context& context, Call call);  // 16_list_groups.cpp
void delete_groups(Context& context, Call call);  // 42_delete_groups.cpp
void offset_delete(Context& context, Call call);  // 47_offset_delete.cpp
void sasl_handshake(Context& context, Call call);    // 17_sasl_handshake.cpp
void sasl_authenticate(Context& context, Call call);  // 36_sasl_authenticate.cpp
void api_versions(Context& context, Call call);      // 18_api_versions.cpp
void create_topics(Context& context, Call call);     // 19_create_topics.cpp
void delete_topics(Context& context, Call call);     // 20_delete_topics.cpp
void delete_records(Context& context, Call call);  // 21_delete_records.cpp
void init_producer_id(Context& context, Call call);  // 22_init_producer_id.cpp
void offset_for_leader_epoch(Context& context, Call call);  // 23_offset_for_leader_epoch.cpp
void describe_acls(Context& context, Call call);  // 29_describe_acls.cpp
void create_acls(Context& context, Call call);  // 30_create_acls.cpp
void delete_acls(Context& context, Call call);  // 31_delete_acls.cpp
void describe_configs(Context& context, Call call);  // 32_describe_configs.cpp
void alter_configs(Context& context, Call call);  // 33_alter_configs.cpp
void describe_log_dirs(Context& context, Call call);  // 35_describe_log_dirs.cpp
void create_partitions(Context& context, Call call);  // 37_create_partitions.cpp
void elect_leaders(Context& context, Call call);  // 43_elect_leaders.cpp
void incremental_alter_configs(Context& context, Call call);  // 44_incremental_alter_configs.cpp
void alter_partition_reassignments(Context& context, Call call);  // 45_alter_partition_reassignments.cpp
void list_partition_reassignments(Context& context, Call call);  // 46_list_partition_reassignments.cpp
void describe_client_quotas(Context& context, Call call);  // 48_describe_client_quotas.cpp
void alter_client_quotas(Context& context, Call call);     // 49_alter_client_quotas.cpp
void describe_user_scram_credentials(Context& context, Call call);  // 50_describe_user_scram_credentials.cpp
void describe_quorum(Context& context, Call call);  // 55_describe_quorum.cpp
void update_features(Context& context, Call call);  // 57_update_features.cpp
void describe_cluster(Context& context, Call call);  // 60_describe_cluster.cpp
void describe_producers(Context& context, Call call);  // 61_describe_producers.cpp
void consumer_group_heartbeat(Context& context, Call call);  // 68_consumer_group_heartbeat.cpp
void consumer_group_describe(Context& context, Call call);  // 69_consumer_group_describe.cpp
void list_config_resources(Context& context, Call call);  // 74_list_config_resources.cpp
void describe_topic_partitions(Context& context, Call call);  // 75_describe_topic_partitions.cpp

/// What this broker serves, and says so in ApiVersions. Which versions: wire::Api::accepted.
struct Served {
    wire::ApiKey key;
    void (*handler)(Context&, Call);
};
std::span<const Served> served();

/// The answer to an ApiVersions request of a version above ours: response header 0, body in version
/// 0.
session::Buffer api_versions_fallback(std::int32_t correlation_id);

}  // namespace leat::api
