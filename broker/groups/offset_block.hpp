// A group's committed offsets in memory: of each topic in blocks of neighbouring partitions,
// because a block is one fact of the log (offset_fact.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/groups/words.hpp"
#include "broker/topics/registry.hpp"

namespace leat::groups {

constexpr std::int32_t block_partitions = 32;
using Places = std::uint32_t;  ///< one bit for each partition of a block, the first is bit 0
constexpr Places place_bit(int place) { return Places{1} << place; }

struct Committed {
    std::int64_t offset = no_offset;
    std::int32_t leader_epoch = -1;
    std::string metadata;
    std::int64_t stamp_ms = 0;    ///< log time of the commit
    std::int64_t expire_ms = -1;  ///< log time, asked for by an old client; -1: the broker's rule
    bool none() const { return offset == no_offset; }
};

/// What a partition's position is, and what it becomes when the commits under way are durable.
struct OffsetEntry {
    Committed durable;                  ///< or none
    const Committed* latest = nullptr;  ///< of the last of these; none: being erased
    std::uint32_t pending = 0;          ///< writes that are not durable yet, which own it
    std::uint8_t place = 0;             ///< in its block
    log::CommitId commit = 0;           ///< of the last of them
    std::int64_t touched_ms = 0;        ///< log time of the last commit, also of an unchanged one
    const Committed& newest() const { return latest != nullptr ? *latest : durable; }
};

/// A position that becomes another one, or none: it goes.
struct Change {
    std::uint8_t place = 0;
    Committed value;
};

struct OffsetBlock {
    std::vector<OffsetEntry> entries;  ///< by rising place

    // Which facts of it the log has, those on their way into it as well.
    bool written = false;  ///< the block's own fact ...
    Places in_fact = 0;    ///< ... and what that tells of
    Places alone = 0;      ///< places with a fact of their own, which counts before the block's
    Places first = 0;      ///< places with a fact of the first layout
    Places stale = 0;      ///< places with a fact of their own that is of a topic that is gone

    bool nothing() const { return entries.empty() && !written && !(alone | first | stale); }

    OffsetEntry* find(int place);
    const OffsetEntry* find(int place) const { return const_cast<OffsetBlock*>(this)->find(place); }
    OffsetEntry& at(int place);  ///< made if need be; moves others
    void erase(int place);
};

struct TopicOffsets {
    topics::TopicId id{};  ///< a topic made anew under the old name has no positions
    std::map<std::int32_t, OffsetBlock> blocks;  ///< by partition / block_partitions
    const OffsetEntry* find(std::int32_t partition) const;
};

}  // namespace leat::groups
