// A partition by name, and how far it is read: what consumers, groups and admin requests speak of.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace leat::cluster {

struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;

    friend bool operator==(const TopicPartition&, const TopicPartition&) = default;
    friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

using Partitions = std::vector<TopicPartition>;

/// How far a group has read a partition.
struct CommittedOffset {
    std::int64_t offset = -1;  ///< the next record to be read; -1: nothing is committed
    std::int32_t leader_epoch = -1;
    std::string metadata{};

    friend bool operator==(const CommittedOffset&, const CommittedOffset&) = default;
};
using Offsets = std::map<TopicPartition, CommittedOffset>;

}  // namespace leat::cluster
