// Who reads what: the leader of a group gives each partition of the subscribed topics to one member.
//
// The four ways are Java's, by name and by bytes (ConsumerProtocol version 3, and the user data of
// its sticky assignors), so that our members and those of Java and librdkafka form one group. Which
// member gets which partition is decided by whoever leads; `sticky` and `cooperative_sticky` here
// reach the same balance as Java's, and keep what can be kept, but not always the same choice.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/cluster/topic_partition.hpp"

namespace leat::cluster {

enum class Assignor : std::uint8_t {
    range,        ///< of each topic a run of partitions; the same runs for topics of the same size
    round_robin,  ///< all partitions of all topics in turn
    sticky,       ///< balanced, and moves as little as it can; all stop during a rebalance
    cooperative_sticky,  ///< the same, and only what moves stops (KIP-429)
};

/// "range", "roundrobin", "sticky", "cooperative-sticky": as in JoinGroup and in settings.
const char* name_of(Assignor assignor);
std::optional<Assignor> assignor_named(std::string_view name);
constexpr bool is_cooperative(Assignor assignor) {
    return assignor == Assignor::cooperative_sticky;
}

/// A member as the leader sees it.
struct Subscriber {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::vector<std::string> topics;
    Partitions owned;               ///< what it had before this rebalance
    std::int32_t generation = -1;  ///< of the group, when it got `owned`
};

using PartitionCounts = std::map<std::string, std::int32_t>;  ///< absent: the topic is not there
using Assignment = std::map<std::string, Partitions>;         ///< by member id; has all members

/// Each partition of a topic that somebody subscribed to and that exists, to exactly one member
/// that subscribed to it. cooperative_sticky leaves out what another member still has: it comes
/// free when that one has given it up, in the rebalance after.
Assignment assign(Assignor assignor, const PartitionCounts& counts,
                  std::vector<Subscriber> members);
/// The sticky part of it, without the last sentence.
Assignment assign_sticky(const PartitionCounts& counts, const std::vector<Subscriber>& members);

using OwnedBytes = std::vector<std::uint8_t>;

/// JoinGroup's metadata of this assignor.
///
/// previous    what the member had in `generation`, for the sticky ones' user data
/// owned       what it has now and need not give up first (eager: nothing)
OwnedBytes encode_subscription(Assignor assignor, std::vector<std::string> topics,
                               Partitions owned, const Partitions& previous,
                               std::int32_t generation);
/// The topics, and for the sticky assignors what the member has. User data that cannot be read
/// counts as none. fails: unsupported, truncated, malformed
Result<Subscriber> decode_subscription(Assignor assignor, ByteView metadata);

OwnedBytes encode_assignment(Partitions partitions);
/// Empty bytes are an empty assignment: brokers answer so for a member that the leader forgot.
/// fails: unsupported, truncated, malformed
Result<Partitions> decode_assignment(ByteView bytes);

}  // namespace leat::cluster
