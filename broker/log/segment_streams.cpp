#include "broker/log/segment_streams.hpp"

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
    std::vector<std::pair<StreamId, const Entry*>> all;
    all.reserve(entries_.size());
    for (const Entry* entry : entries_) all.emplace_back(entry->first, entry);
    std::sort(all.begin(), all.end());
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
