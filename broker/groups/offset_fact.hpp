// Committed offsets as facts of the log. Numbers are big-endian, names stand behind u16 lengths.
//
// Block:   key 'b' group topic u32 block: partitions block * 32 to block * 32 + 31 of the topic
//          value u8 format 1, topic id, u32 places (bit i: partition block * 32 + i is here), then
//          for each of them by rising partition
//          u48 offset, u16 leader epoch + 1, u40 stamp, u8 bytes of metadata, metadata
// Alone:   key 'p' group topic u32 partition: a position that does not go into a block (fits())
//          value u8 format 1, topic id, i64 offset, i32 leader epoch, i64 stamp, i64 expire,
//          u32 bytes of metadata, metadata
// First:   key 'o', all else as alone: what was written before there were blocks. It is read, and
//          erased once its block is written.
//
// A commit of 1,000 positions is 32 facts, one of a single position rewrites its block: with all
// the metadata that fits 2.6 KB, which is still one page of the log. Numbers have a fixed size so
// that a position moves on without its fact growing: that is what a log full of facts still takes.
//
// Which one counts: the position's own fact, else the block's; those of the first layout only while
// the block has none, for the block takes over all of them. A fact that names another topic id than
// the topic has now is of a topic that was deleted, and does not count.
//
// What a power cut leaves is a prefix of the facts written, so their order is what matters:
//   moves within the block         one fact: all of its positions are old, or all are new
//   leaves the block               its own fact; what the block still says of it no longer counts
//   comes back, or is taken away   the block's fact, then its own is erased: until then it is old
//   block's first fact             before it what does not fit gets facts of its own, after it
//                                  those of the first layout are erased
//   last position of a block goes  the block's fact is erased; an empty one stays as long as there
//                                  are facts of the first layout that it must keep from coming back
// A log full of facts takes none that is new or longer: then a position is renewed where it lies,
// also in the first layout, and comes into its block when there is room.
#pragma once

#include <string_view>
#include <vector>

#include "broker/groups/offset_block.hpp"

namespace leat::groups {

constexpr std::size_t block_metadata_bytes_max = 64;

/// Whether a block's fact can tell it: short metadata, no time to expire of its own, numbers that
/// are not out of this world.
bool fits(const Committed& committed);

enum class OffsetLayout : std::uint8_t { block = 'b', alone = 'p', first = 'o' };
/// number: of the block, or of the partition.
std::vector<std::uint8_t> offset_key(OffsetLayout layout, std::string_view group,
                                     std::string_view topic, std::int32_t number);
std::vector<std::uint8_t> single_value(const topics::TopicId& topic, const Committed& committed);
/// The newest positions of these places; each is there and fits.
std::vector<std::uint8_t> block_value(const topics::TopicId& topic, const OffsetBlock& block,
                                      Places places);

bool is_offset_key(ByteView key);
struct OffsetFact {
    OffsetLayout layout = OffsetLayout::block;
    std::string_view group, topic;
    std::int32_t block = 0;
    topics::TopicId topic_id{};
    Places places = 0;
    std::vector<Change> positions;  ///< by rising place
};
/// fails: unsupported (a later format) · malformed
Result<OffsetFact> decode_offset_fact(ByteView key, ByteView value);

}  // namespace leat::groups
