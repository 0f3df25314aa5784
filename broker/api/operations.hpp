// What is told to clients and is no setting. Without an authorizer a client may do all that Kafka
// knows of a kind of thing: the bits of these sets are AclOperation's numbers.
#pragma once

#include <cstdint>

namespace leat::api {

/// Read, delete, describe, describe and alter configs.
constexpr std::int32_t all_group_operations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
/// Read, write, create, delete, alter, describe, describe and alter configs.
constexpr std::int32_t all_topic_operations = all_group_operations | 1 << 4 | 1 << 5 | 1 << 7;
/// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
constexpr std::int32_t all_cluster_operations =
    1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;


constexpr std::int32_t page_partitions_max = 2000;  ///< as Kafka's max.request.partition.size.limit

}  // namespace leat::api
