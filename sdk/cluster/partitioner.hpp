// Which partition a record goes to: as Kafka's own producer chooses, so that a key lands where
// every other client of the cluster puts it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sdk/base/bytes.hpp"
#include "sdk/client/backoff.hpp"
#include "sdk/cluster/metadata.hpp"

namespace leat::cluster {

/// MurmurHash2 (seed 0x9747b28c) as in org.apache.kafka.common.utils.Utils.murmur2. murmur2("21")
/// is -973932308, murmur2("foobar") is -790332482.
std::int32_t murmur2(ByteView bytes);

/// The partition of a record with a key. count is above 0.
std::int32_t partition_of_key(ByteView key, std::int32_t count);

/// For records without a key: stays with one partition until batch_bytes went to it, then moves on
/// to a random one, so batches are full and all partitions get the same (KIP-480, KIP-794).
/// Partitions without a known leader are avoided while there are others.
class StickyPartitioner {
public:
    explicit StickyPartitioner(std::uint32_t batch_bytes, std::uint32_t seed)
        : jitter_(seed), batch_bytes_(batch_bytes) {}

    /// topic  its partitions are known (not empty)
    std::int32_t current(std::string_view name, const TopicInfo& topic);
    /// A record of `bytes` goes to `current`; `batch_is_over`: it was the last one of its batch,
    /// the moment at which a change costs nothing.
    struct Placed {
        std::size_t bytes = 0;
        bool batch_is_over = false;
    };
    void on_placed(std::string_view name, const Placed& placed);

private:
    struct Stay {
        std::int32_t partition = -1;
        std::size_t bytes = 0;
    };
    std::int32_t pick(const TopicInfo& topic, std::int32_t other_than);

    std::map<std::string, Stay, std::less<>> stays_;  // one per topic ever produced to without key
    client::Jitter jitter_;
    std::uint32_t batch_bytes_;
};

}  // namespace leat::cluster
