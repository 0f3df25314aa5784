// What goes in and out of the room: requests without their frames, answers without their sessions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/log/log.hpp"
#include "leat/time.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::groups {

using wire::ErrorCode;

/// Names an answer that may come later. Given by the caller, above 0, never used twice.
using Ticket = std::uint64_t;

struct GroupsConfig {
    milliseconds initial_rebalance_delay{3'000};
    milliseconds session_timeout_min{6'000}, session_timeout_max{1'800'000};
    std::uint32_t group_size_max = 2'147'483'647;
    milliseconds consumer_session_timeout{45'000}, consumer_heartbeat_interval{5'000};  // KIP-848
    std::uint32_t consumer_group_size_max = 2'147'483'647;
    milliseconds offsets_retention{std::int64_t{7} * 24 * 3600 * 1000};  ///< in log time
    milliseconds retention_check{600'000};
    std::uint32_t offset_metadata_bytes_max = 4096;
    // Bounds of this room; Kafka has none of them.
    std::uint32_t groups_max = 50'000;
    std::uint32_t group_settings_max = 10'000;  ///< groups that settings of their own are kept of
    std::uint32_t pending_max = 4'000;  ///< ids given and not come back; the oldest makes room
    std::size_t member_bytes_max = 32 * 1024 * 1024;  ///< metadata and assignments of all groups
    std::uint32_t group_id_bytes_max = 1024;
    std::uint32_t name_bytes_max = 1024;  ///< of a member or instance id, of a protocol
    std::uint32_t protocols_max = 64;     ///< offered by one member
    /// Of an assignment (KIP-848) at one go. A step is some ten nanoseconds.
    std::uint32_t assignment_steps_max = 20'000;
};

struct Protocol {
    std::string name;
    std::string metadata;  ///< opaque
    friend bool operator==(const Protocol&, const Protocol&) = default;
};

struct JoinRequest {
    std::string group, member;
    std::optional<std::string> instance;  ///< set: a static member (KIP-345)
    std::string client_id, client_host;
    milliseconds session_timeout{}, rebalance_timeout{};
    std::string protocol_type;
    std::vector<Protocol> protocols;
    bool requires_known_member = false;  ///< v4+: MEMBER_ID_REQUIRED is understood (KIP-394)
    bool can_skip_assignment = false;    ///< v9+ (KIP-814)
};
struct JoinedMember {
    std::string id;
    std::optional<std::string> instance;
    std::string metadata;
};
struct JoinAnswer {
    Ticket ticket = 0;
    ErrorCode error = ErrorCode::none;
    std::int32_t generation = -1;
    std::optional<std::string> protocol_type, protocol;
    std::string leader, member;
    bool skip_assignment = false;
    std::vector<JoinedMember> members;  ///< for the leader only
};

/// How a member shows who it is. Views, borrowed for the call.
struct Identity {
    std::string_view group, member;
    std::optional<std::string_view> instance;
    std::int32_t generation = -1;  ///< of a consumer group's member: its epoch
    bool knows_epochs = true;      ///< OffsetCommit v9+, and GROUP_ID_NOT_FOUND
};
struct SyncRequest {
    Identity who;
    std::optional<std::string_view> protocol_type, protocol;  ///< v5+
    std::vector<std::pair<std::string_view, std::string_view>> assignments;
};
struct SyncAnswer {
    Ticket ticket = 0;
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> protocol_type, protocol;
    std::string assignment;
};

struct Leaving {
    std::string_view member;
    std::optional<std::string_view> instance;
};

/// One partition's position to be stored.
/// A committed offset of -1. Any other below zero is kept as it is: KafkaJS resets a group with -2,
/// and asks where the partition begins when it reads that back.
constexpr std::int64_t no_offset = -1;

struct Commit {
    std::string_view topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int32_t leader_epoch = -1;
    std::string_view metadata;
    milliseconds retention{-1};  ///< v2 to v4; -1: the broker's
};
struct Fetched {
    std::int64_t offset = no_offset;
    std::int32_t leader_epoch = -1;
    std::string_view metadata;  ///< borrowed until the next call that is not const
};

struct DescribedMember {
    std::string_view id;
    std::optional<std::string_view> instance;
    std::string_view client_id, client_host, metadata, assignment;
};
/// Views, borrowed until the next call that is not const.
struct Description {
    bool found = false;
    const char* state = "Dead";
    std::string_view id, protocol_type, protocol;
    std::vector<DescribedMember> members;
};

}  // namespace leat::groups
