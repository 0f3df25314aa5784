// The requests of the protocol by number, and which of their versions this code speaks.
#pragma once

#include <cstdint>
#include <span>

namespace leat::wire {

enum class ApiKey : std::int16_t {
    produce = 0,
    fetch = 1,
    list_offsets = 2,
    metadata = 3,
    offset_commit = 8,
    offset_fetch = 9,
    find_coordinator = 10,
    join_group = 11,
    heartbeat = 12,
    leave_group = 13,
    sync_group = 14,
    describe_groups = 15,
    list_groups = 16,
    sasl_handshake = 17,
    api_versions = 18,
    create_topics = 19,
    delete_topics = 20,
    delete_records = 21,
    init_producer_id = 22,
    offset_for_leader_epoch = 23,
    describe_acls = 29,
    create_acls = 30,
    delete_acls = 31,
    describe_configs = 32,
    alter_configs = 33,
    describe_log_dirs = 35,
    sasl_authenticate = 36,
    create_partitions = 37,
    delete_groups = 42,
    elect_leaders = 43,
    incremental_alter_configs = 44,
    alter_partition_reassignments = 45,
    list_partition_reassignments = 46,
    offset_delete = 47,
    describe_client_quotas = 48,
    alter_client_quotas = 49,
    describe_user_scram_credentials = 50,
    describe_quorum = 55,
    update_features = 57,
    describe_cluster = 60,
    describe_producers = 61,
    consumer_group_heartbeat = 68,
    consumer_group_describe = 69,
    list_config_resources = 74,
    describe_topic_partitions = 75,
};

/// `flexible` is the first version with compact lengths and tagged fields (KIP-482).
struct Versions {
    static constexpr std::int16_t never = 0x7fff;

    std::int16_t first = 0;
    std::int16_t last = 0;
    std::int16_t flexible = never;

    constexpr bool has(std::int16_t version) const { return version >= first && version <= last; }
};

/// The first flexible version of an API. A switch, so that it folds away where the key is a
/// constant and firmware does not carry the table below.
constexpr std::int16_t flexible_since(ApiKey key) {
    switch (key) {
        case ApiKey::alter_partition_reassignments:
        case ApiKey::list_partition_reassignments:
        case ApiKey::describe_user_scram_credentials:
        case ApiKey::describe_quorum:
        case ApiKey::update_features:
        case ApiKey::describe_producers:
        case ApiKey::consumer_group_heartbeat:
        case ApiKey::consumer_group_describe:
        case ApiKey::list_config_resources:
        case ApiKey::describe_topic_partitions:
        case ApiKey::describe_cluster: return 0;
        case ApiKey::describe_client_quotas:
        case ApiKey::alter_client_quotas:
        case ApiKey::incremental_alter_configs: return 1;
        case ApiKey::describe_acls:
        case ApiKey::create_acls:
        case ApiKey::delete_acls:
        case ApiKey::alter_configs:
        case ApiKey::describe_log_dirs:
        case ApiKey::delete_records:
        case ApiKey::init_producer_id:
        case ApiKey::sasl_authenticate:
        case ApiKey::create_partitions:
        case ApiKey::delete_groups:
        case ApiKey::elect_leaders: return 2;
        case ApiKey::find_coordinator:
        case ApiKey::list_groups:
        case ApiKey::api_versions: return 3;
        case ApiKey::heartbeat:
        case ApiKey::leave_group:
        case ApiKey::sync_group:
        case ApiKey::delete_topics:
        case ApiKey::offset_for_leader_epoch:
        case ApiKey::describe_configs: return 4;
        case ApiKey::describe_groups:
        case ApiKey::create_topics: return 5;
        case ApiKey::list_offsets:
        case ApiKey::offset_fetch:
        case ApiKey::join_group: return 6;
        case ApiKey::offset_commit: return 8;
        case ApiKey::produce:
        case ApiKey::metadata: return 9;
        case ApiKey::fetch: return 12;
        case ApiKey::offset_delete:
        case ApiKey::sasl_handshake: break;
    }
    return Versions::never;
}
constexpr bool is_flexible(ApiKey key, std::int16_t version) {
    return version >= flexible_since(key);
}

/// One API that the codec knows.
struct Api {
    ApiKey key;
    const char* name;   ///< Kafka's: "InitProducerId"
    Versions codec;     ///< what encodes and decodes: all versions of Kafka 4.3.1
    Versions accepted;  ///< what a Leat broker takes: the versions whose meaning it implements
    /// The lowest version to advertise. Lower than `accepted.first` for Produce alone: librdkafka
    /// before 2.11.1 switches compression off unless version 0 lies in the range (KAFKA-18659).
    std::int16_t advertised_first;
};

/// All of them, by rising key.
std::span<const Api> apis() noexcept;

/// Null for a key that the codec does not know.
const Api* find_api(std::int16_t key) noexcept;
inline const Api* find_api(ApiKey key) noexcept { return find_api(static_cast<std::int16_t>(key)); }

}  // namespace leat::wire
