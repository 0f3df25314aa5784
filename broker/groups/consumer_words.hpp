// What goes in and out of a group of the consumer protocol (KIP-848).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/groups/words.hpp"
#include "broker/topics/registry.hpp"

namespace leat::groups {

struct TopicPartitions {
    topics::TopicId topic{};
    std::vector<std::int32_t> partitions;
};

/// member_epoch of a heartbeat that is none.
constexpr std::int32_t epoch_joins = 0, epoch_leaves = -1, epoch_leaves_for_a_while = -2;

/// What is not set is as it was in the member's last heartbeat.
struct ConsumerHeartbeat {
    std::string group, member;
    std::int32_t epoch = epoch_joins;
    std::optional<std::string> instance;  ///< of a static member, always set
    std::optional<std::string> rack;
    std::optional<milliseconds> rebalance_timeout;
    std::optional<std::vector<std::string>> topics;
    std::optional<std::string> pattern;
    std::optional<std::string> assignor;
    std::optional<std::vector<TopicPartitions>> owned;
    bool names_itself = false;  ///< v1+ (KIP-1082)
    std::string client_id, client_host;

    bool is_full() const { return rebalance_timeout && (topics || pattern) && owned; }
};

struct ConsumerAnswer {
    Ticket ticket = 0;
    ErrorCode error = ErrorCode::none;
    std::string message;                ///< with an error
    std::optional<std::string> member;  ///< without one
    std::int32_t epoch = 0;
    milliseconds interval{};
    std::optional<std::vector<TopicPartitions>> assignment;  ///< not set: as it was
};

}  // namespace leat::groups
