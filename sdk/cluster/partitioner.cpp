#include "sdk/cluster/partitioner.hpp"

namespace leat::cluster {

std::int32_t murmur2(ByteView bytes) {
    constexpr std::uint32_t multiplier = 0x5bd1e995;
    constexpr int shift = 24;
    std::uint32_t hash = 0x9747b28cU ^ static_cast<std::uint32_t>(bytes.size());
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 4; at += 4, left -= 4) {
        std::uint32_t word = load_little<std::uint32_t>(at);
        word *= multiplier;
        word ^= word >> shift;
        word *= multiplier;
        hash = (hash * multiplier) ^ word;
    }
    if (left >= 3) hash ^= static_cast<std::uint32_t>(at[2]) << 16;
    if (left >= 2) hash ^= static_cast<std::uint32_t>(at[1]) << 8;
    if (left >= 1) hash = (hash ^ at[0]) * multiplier;
    hash ^= hash >> 13;
    hash *= multiplier;
    hash ^= hash >> 15;
    return static_cast<std::int32_t>(hash);
}

std::int32_t partition_of_key(ByteView key, std::int32_t count) {
    LEAT_CHECK(count > 0);
    return (murmur2(key) & 0x7fff'ffff) % count;
}

std::int32_t StickyPartitioner::current(std::string_view name, const TopicInfo& topic) {
    LEAT_CHECK(!topic.partitions.empty());
    auto stay = stays_.find(name);
    if (stay == stays_.end()) stay = stays_.emplace(std::string(name), Stay{}).first;
    std::int32_t& partition = stay->second.partition;
    const auto count = static_cast<std::int32_t>(topic.partitions.size());
    if (partition < 0) stay->second.bytes = 0;
    // A leader that went away moves us on at once; a topic made anew may have fewer partitions.
    if (partition < 0 || partition >= count ||
        topic.partitions[static_cast<std::size_t>(partition)].leader < 0)
        partition = pick(topic, partition);
    return partition;
}

void StickyPartitioner::on_placed(std::string_view name, const Placed& placed) {
    const auto stay = stays_.find(name);
    if (stay == stays_.end()) return;
    stay->second.bytes += placed.bytes;
    if (placed.batch_is_over && stay->second.bytes >= batch_bytes_) stay->second.partition = -1;
}

std::int32_t StickyPartitioner::pick(const TopicInfo& topic, std::int32_t other_than) {
    const auto count = static_cast<std::int32_t>(topic.partitions.size());
    const auto is_able = [&](std::int32_t partition) {
        return partition != other_than &&
               topic.partitions[static_cast<std::size_t>(partition)].leader >= 0;
    };
    std::uint32_t able = 0;
    for (std::int32_t partition = 0; partition < count; ++partition) able += is_able(partition);
    // None has a leader: any will do, its records wait.
    if (able == 0) return other_than >= 0 && other_than < count ? other_than : 0;
    std::uint32_t chosen = jitter_.next() % able;
    for (std::int32_t partition = 0;; ++partition)
        if (is_able(partition) && chosen-- == 0) return partition;
}

}  // namespace leat::cluster
