// Every message of the codec in one table, so that tests and fuzzers treat all of them alike.
#pragma once

#include <span>
#include <vector>

#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/16_list_groups.hpp"
#include "sdk/wire/api/17_sasl_handshake.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/29_describe_acls.hpp"
#include "sdk/wire/api/30_create_acls.hpp"
#include "sdk/wire/api/31_delete_acls.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/33_alter_configs.hpp"
#include "sdk/wire/api/35_describe_log_dirs.hpp"
#include "sdk/wire/api/36_sasl_authenticate.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "sdk/wire/api/42_delete_groups.hpp"
#include "sdk/wire/api/43_elect_leaders.hpp"
#include "sdk/wire/api/44_incremental_alter_configs.hpp"
#include "sdk/wire/api/45_alter_partition_reassignments.hpp"
#include "sdk/wire/api/46_list_partition_reassignments.hpp"
#include "sdk/wire/api/47_offset_delete.hpp"
#include "sdk/wire/api/48_describe_client_quotas.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "sdk/wire/api/50_describe_user_scram_credentials.hpp"
#include "sdk/wire/api/55_describe_quorum.hpp"
#include "sdk/wire/api/57_update_features.hpp"
#include "sdk/wire/api/60_describe_cluster.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "sdk/wire/api/74_list_config_resources.hpp"
#include "sdk/wire/api/75_describe_topic_partitions.hpp"
#include "sdk/wire/api/consumer_protocol.hpp"
#include "tests/golden/filler.hpp"

namespace leat::wire::golden {

enum class Direction : std::uint8_t { request, response };

/// Key of the two messages that travel inside others; no API has it.
constexpr std::int16_t consumer_protocol_key = 1000;

struct Kind {
    std::int16_t key;
    Direction direction;
    const char* name;
    Versions versions;
    /// Decodes and encodes again; the bytes are in `out`.
    Status (*recode)(ByteView body, std::int16_t version, std::vector<std::uint8_t>& out);
    Result<std::size_t> (*print)(ByteView body, std::int16_t version, std::span<char> out);
    std::vector<std::uint8_t> (*filled)(Filling& with, std::int16_t version);  ///< of requests
};

template <class M>
Status recode(ByteView body, std::int16_t version, std::vector<std::uint8_t>& out) {
    Result<M> m = decode<M>(body, version);
    if (!m) return fail(m.error());
    std::size_t size = encoded_size(*m, version);
    if (size > 0) {
        // One byte less must be refused and not overrun (a sanitizer sees the exact allocation).
        out.resize(size - 1);
        out.shrink_to_fit();
        Result<std::size_t> cut = encode(*m, version, out);
        if (cut || cut.error() != Error::full) return fail(Error::invalid);
    }
    out.resize(size);
    Result<std::size_t> written = encode(*m, version, out);
    if (!written) return fail(written.error());
    return *written == size ? ok() : fail(Error::invalid);
}

template <class M>
Result<std::size_t> print_decoded(ByteView body, std::int16_t version, std::span<char> out) {
    Result<M> m = decode<M>(body, version);
    if (!m) return fail(m.error());
    return print(*m, version, out);
}

template <class Request, class Response>
constexpr std::array<Kind, 2> both(std::int16_t key, const char* request, const char* response) {
    return {Kind{key, Direction::request, request, Request::versions, recode<Request>,
                 print_decoded<Request>, filled<Request>},
            Kind{key, Direction::response, response, Response::versions, recode<Response>,
                 print_decoded<Response>, nullptr}};
}

#define LEAT_BOTH(name)                                                                    \
    both<name##Request, name##Response>(static_cast<std::int16_t>(name##Request::api_key), \
                                        #name "Request", #name "Response")

inline constexpr std::array<Kind, 2> kind_pairs[] = {
    LEAT_BOTH(Produce),
    LEAT_BOTH(Fetch),
    LEAT_BOTH(ListOffsets),
    LEAT_BOTH(Metadata),
    LEAT_BOTH(OffsetCommit),
    LEAT_BOTH(OffsetFetch),
    LEAT_BOTH(FindCoordinator),
    LEAT_BOTH(JoinGroup),
    LEAT_BOTH(Heartbeat),
    LEAT_BOTH(LeaveGroup),
    LEAT_BOTH(SyncGroup),
    LEAT_BOTH(DescribeGroups),
    LEAT_BOTH(ListGroups),
    LEAT_BOTH(SaslHandshake),
    LEAT_BOTH(ApiVersions),
    LEAT_BOTH(CreateTopics),
    LEAT_BOTH(DeleteTopics),
    LEAT_BOTH(DeleteRecords),
    LEAT_BOTH(InitProducerId),
    LEAT_BOTH(OffsetForLeaderEpoch),
    LEAT_BOTH(DescribeAcls),
    LEAT_BOTH(CreateAcls),
    LEAT_BOTH(DeleteAcls),
    LEAT_BOTH(DescribeConfigs),
    LEAT_BOTH(AlterConfigs),
    LEAT_BOTH(DescribeLogDirs),
    LEAT_BOTH(SaslAuthenticate),
    LEAT_BOTH(CreatePartitions),
    LEAT_BOTH(DeleteGroups),
    LEAT_BOTH(ElectLeaders),
    LEAT_BOTH(IncrementalAlterConfigs),
    LEAT_BOTH(AlterPartitionReassignments),
    LEAT_BOTH(ListPartitionReassignments),
    LEAT_BOTH(OffsetDelete),
    LEAT_BOTH(DescribeClientQuotas),
    LEAT_BOTH(AlterClientQuotas),
    LEAT_BOTH(DescribeUserScramCredentials),
    LEAT_BOTH(DescribeQuorum),
    LEAT_BOTH(UpdateFeatures),
    LEAT_BOTH(DescribeCluster),
    LEAT_BOTH(DescribeProducers),
    LEAT_BOTH(ConsumerGroupHeartbeat),
    LEAT_BOTH(ConsumerGroupDescribe),
    LEAT_BOTH(ListConfigResources),
    LEAT_BOTH(DescribeTopicPartitions),
    both<ConsumerProtocolSubscription, ConsumerProtocolAssignment>(
        consumer_protocol_key, "ConsumerProtocolSubscription", "ConsumerProtocolAssignment"),
};

#undef LEAT_BOTH

/// Null for an unknown key.
inline const Kind* find_kind(std::int16_t key, Direction direction) {
    for (const auto& pair : kind_pairs)
        if (pair[0].key == key) return &pair[static_cast<std::size_t>(direction)];
    return nullptr;
}

}  // namespace leat::wire::golden
