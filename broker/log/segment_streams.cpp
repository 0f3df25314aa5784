#include "broker/log/segment_streams.hpp"

#include <array>

namespace leat::log {

StreamInSegment& SegmentStreams::operator[](StreamId id) {
    if (Entry* known = table_.find(id)) return known->second;
    if (chunks_.empty() || chunks_.back().size() == chunk_entries)
        chunks_.emplace_back().reserve(chunk_entries);
    Entry& entry = chunks_.back().emplace_back(id, StreamInSegment{});
    entries_.push_back(&entry);
    table_.put(&entry);
    return entry.second;
}

std::vector<const SegmentStreams::Entry*> SegmentStreams::in_order() const {
    using Numbered = std::pair<StreamId, const Entry*>;
    std::vector<Numbered> all;
    all.reserve(entries_.size());
    StreamId differing = 0;
    for (const Entry* entry : entries_) {
        all.emplace_back(entry->first, entry);
        differing |= entry->first ^ all.front().first;
    }
    // By one byte of the number after the other: thousands are sorted for every footer.
    std::vector<Numbered> other(all.size());
    for (int shift = 0; shift < 32; shift += 8) {
        if ((differing >> shift & 0xFF) == 0) continue;
        std::array<std::uint32_t, 257> from{};
        for (const Numbered& one : all) ++from[(one.first >> shift & 0xFF) + 1];
        for (std::size_t i = 1; i < from.size(); ++i) from[i] += from[i - 1];
        for (const Numbered& one : all) other[from[one.first >> shift & 0xFF]++] = one;
        all.swap(other);
    }
    std::vector<const Entry*> sorted;
    sorted.reserve(all.size());
    for (const auto& [id, entry] : all) sorted.push_back(entry);
    return sorted;
}

void SegmentStreams::shed(std::size_t count) {
    const std::size_t gone = std::min(chunks_.size(), count / chunk_entries + 1);
    chunks_.erase(chunks_.end() - static_cast<std::ptrdiff_t>(gone), chunks_.end());
    table_.clear();
    entries_ = {};
}

}  // namespace leat::log
