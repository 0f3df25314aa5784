// Who shall have which partition: the two assignors that Kafka's broker has (KIP-848).
#pragma once

#include <string_view>

#include "broker/groups/consumer_group.hpp"

namespace leat::groups {

inline constexpr std::string_view assignor_uniform = "uniform", assignor_range = "range";

/// Makes every member's target anew, by ConsumerGroup::assignor().
///
/// range    each topic in runs of partitions by member, so that topics of equal size lie alike;
///          static members by instance id first: who comes back finds what it had
/// uniform  as even as the subscriptions allow, starting from the targets before: few moves
/// cost     members x partitions at worst, linear when little changes
void assign(ConsumerGroup& group, const topics::Registry& registry);

}  // namespace leat::groups
