// A group as facts of the log. Its committed offsets: offset_fact.hpp.
//
// Group:   key 'g' u16 part, group. One group is cut into parts, because a fact is bounded and a
//          group is not: each part says which save it belongs to and how many parts that has.
//          value u8 format 1, u32 save, i32 generation, u16 parts, then its piece of the body
// body:    generation, empty since, protocol type and protocol, leader (none: it has just become a
//          classic group, and has yet to share out), members (id, instance, client id and host,
//          timeouts, metadata of the chosen protocol, assignment)
//
// A power cut in the middle of a save leaves parts of two saves: such a group comes back without
// members, under a generation that was never less than any it gave out durably; its members join
// again. Nobody was told of that save, because it is told when all of it is durable.
#pragma once

#include <vector>

#include "broker/groups/group.hpp"

namespace leat::groups {

constexpr std::size_t group_part_bytes = 6 * 1024;
/// Of what a fact tells: an epoch or generation above it is damage, and could not rise any more.
constexpr std::int32_t kept_epoch_max = 1 << 30;
/// A timeout is one of the protocol's, 32 bits of ms: any other is damage, and no Instant holds it.
constexpr bool is_timeout(milliseconds time) {
    return time.count() == static_cast<std::int32_t>(time.count());
}

bool is_group_key(ByteView key);

std::vector<std::uint8_t> group_key(std::string_view group, std::uint16_t part);
/// The body cut into values of one fact each, in order: head, number of parts, piece. None if there
/// would be too many.
std::vector<std::vector<std::uint8_t>> in_parts(ByteView head, ByteView body);
/// The values of all parts, in order; at least one.
std::vector<std::vector<std::uint8_t>> group_values(const Group& group, std::uint32_t save);

struct GroupPart {
    std::string_view group;
    std::uint16_t part = 0, parts = 0;
    std::uint32_t save = 0;
    std::int32_t generation = 0;
    ByteView piece;
};
Result<GroupPart> decode_group_part(ByteView key, ByteView value);
/// Fills an empty group from its whole body. On failure it is left half filled.
Status decode_group(ByteView body, Group& group);

}  // namespace leat::groups
