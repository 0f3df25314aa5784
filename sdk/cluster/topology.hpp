// What a cluster looks like: the words that Metadata keeps and admin answers with.
#pragma once

#include <cstdint>
#include <vector>

#include "sdk/cluster/endpoint.hpp"
#include "sdk/wire/error_code.hpp"
#include "sdk/wire/types.hpp"

namespace leat::cluster {

constexpr std::int32_t no_broker = -1;

struct PartitionInfo {
    std::int32_t leader =
        no_broker;  ///< node id; no_broker: none known (also while one is being elected)
    std::int32_t leader_epoch = -1;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::vector<std::int32_t> replicas;
    std::vector<std::int32_t> in_sync;
};

struct TopicInfo {
    wire::Uuid id;                                  ///< zero: the broker does not tell
    wire::ErrorCode error = wire::ErrorCode::none;  ///< of the last answer
    bool is_internal = false;
    std::vector<PartitionInfo>
        partitions;  ///< the index is the partition's number; empty: not known yet
};

}  // namespace leat::cluster
