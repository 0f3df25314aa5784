#include "broker/groups/offset_block.hpp"

#include <algorithm>

namespace leat::groups {
namespace {

auto place_in(std::vector<OffsetEntry>& entries, int place) {
    return std::lower_bound(
        entries.begin(), entries.end(), place,
        [](const OffsetEntry& entry, int wanted) { return entry.place < wanted; });
}

}  // namespace

OffsetEntry* OffsetBlock::find(int place) {
    // Most groups read whole topics, so most blocks have all their places.
    const auto index = static_cast<std::size_t>(place);
    if (index < entries.size() && entries[index].place == place) return &entries[index];
    const auto found = place_in(entries, place);
    return found != entries.end() && found->place == place ? &*found : nullptr;
}

OffsetEntry& OffsetBlock::at(int place) {
    if (OffsetEntry* entry = find(place)) return *entry;
    OffsetEntry fresh;
    fresh.place = static_cast<std::uint8_t>(place);
    return *entries.insert(place_in(entries, place), std::move(fresh));
}

void OffsetBlock::erase(int place) {
    std::erase_if(entries, [=](const OffsetEntry& entry) { return entry.place == place; });
}

const OffsetEntry* TopicOffsets::find(std::int32_t partition) const {
    if (partition < 0) return nullptr;
    const auto block = blocks.find(partition / block_partitions);
    return block == blocks.end() ? nullptr : block->second.find(partition % block_partitions);
}

}  // namespace leat::groups
