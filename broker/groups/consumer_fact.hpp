// A group of the consumer protocol as facts of the log.
//
// Group:   key 'c' group
//          value u8 format 1, i32 epoch, u64 hash of its topics, i64 empty since
// Member:  key 'm' group member u8 slot u16 part
//          value u8 format 1, u32 save, u16 parts, then its piece of the body
// body:    epochs, step, rebalance timeout, who it is, what it reads, what it owns (runs of
//          partitions); of a member of the classic protocol also its session timeout and what it
//          offers
//
// The target is not kept: when all members are stable in the group's epoch, each has its target;
// otherwise the group was in the middle of a rebalance, and begins a new epoch.
//
// What a power cut leaves is a prefix of what was written, and every prefix is sound:
//   - the group's new epoch is written before a member comes, goes or changes, so a group whose
//     members are all stable in its epoch has lost nobody;
//   - what a member has given up is written before anybody else gets it;
//   - a member of one part is replaced at once; a longer one goes to its other slot, and the old
//     one is erased after it: the newest save that is whole counts;
//   - a classic group that becomes one of this kind (mixed.cpp): first its members are written,
//     then the group's fact, then the classic group's facts are erased; until the group's fact is
//     there it is the classic group, and whatever was written of the other goes;
//   - on the way back the classic group is written first, and then what is of this kind is erased:
//     as long as the classic facts are whole they hold;
//   - a static member's successor is written before it is erased; the one that is away gives way.
#pragma once

#include <vector>

#include "broker/groups/consumer_group.hpp"

namespace leat::groups {

bool is_consumer_key(ByteView key);  ///< of either kind

struct ConsumerGroupFact {
    std::int32_t epoch = 0;
    std::uint64_t hash = 0;
    std::int64_t empty_since_ms = 0;
};
std::vector<std::uint8_t> consumer_group_key(std::string_view group);
std::vector<std::uint8_t> consumer_group_value(const ConsumerGroupFact& fact);
Result<ConsumerGroupFact> decode_consumer_group(ByteView value);

struct ConsumerPart {
    std::string_view group, member;  ///< member: empty for the group's own fact
    std::uint8_t slot = 0;
    std::uint16_t part = 0, parts = 0;
    std::uint32_t save = 0;
    ByteView piece;
};
std::vector<std::uint8_t> consumer_member_key(std::string_view group, std::string_view member,
                                              std::uint8_t slot, std::uint16_t part);
/// The values of all parts, in order; at least one. Empty: it is too large.
std::vector<std::vector<std::uint8_t>> consumer_member_values(const ConsumerMember& member,
                                                              std::uint32_t save);
/// Of both kinds: of the group's own fact only the group is told.
Result<ConsumerPart> decode_consumer_part(ByteView key, ByteView value);

struct MemberReads {
    std::vector<std::string> topics;
    std::string pattern;
};
/// Fills all but what the group knows (subscription, target, timers).
Status decode_consumer_member(ByteView body, ConsumerMember& member, MemberReads& reads);

}  // namespace leat::groups
