// A partition by name: what consumers, groups and admin requests speak of.
#pragma once

#include <compare>
#include <cstdint>
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

}  // namespace leat::cluster
