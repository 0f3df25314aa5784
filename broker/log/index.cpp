#include "broker/log/index.hpp"

#include <algorithm>
#include <bit>

#include "sdk/base/bytes.hpp"

namespace leat::log {

namespace {
/// Ten thousand streams have three of these each: what growth by doubling reserves is megabytes.
void push_snugly(std::vector<Link>& links, const Link& link) {
    if (links.size() == links.capacity()) links.reserve(links.size() + 2 + links.size() / 8);
    links.push_back(link);
}
}  // namespace

void Stream::enter_segment(std::uint32_t segment, Offset first_offset,
                           std::uint32_t anchors_limit) {
    grow_newest();
    ++ordinal;
    const Link link{first_offset, flushed_max_timestamp, segment, ordinal};
    const auto reach = static_cast<std::size_t>(std::countr_zero(ordinal));
    newest_links.assign(levels.data(), std::min({reach + 1, levels.size(), levels_max}));
    for (std::size_t level = 0; level <= reach && level < levels_max; ++level) {
        if (level < levels.size())
            levels[level] = link;
        else
            push_snugly(levels, link);
    }
    if (anchors.size() >= anchors_limit) {
        // Those stay whose ordinals the smallest power of two divides that makes room: they lie
        // evenly, and the links of each reach its neighbour in log2 steps.
        for (std::uint32_t stride = 2; anchors.size() > anchors_limit / 4 * 3; stride *= 2)
            std::erase_if(anchors,
                          [stride](const Link& anchor) { return anchor.ordinal % stride != 0; });
    }
    push_snugly(anchors, link);
}

void Stream::grow_newest() {
    if (anchors.empty()) return;
    anchors.back().max_timestamp = std::max(anchors.back().max_timestamp, flushed_max_timestamp);
    // What 2^j divides smaller powers divide, too: those of the newest ordinal come first.
    for (Link& level : levels) {
        if (level.ordinal != ordinal) break;
        level.max_timestamp = anchors.back().max_timestamp;
    }
}

std::uint64_t Stream::bytes_before(Offset to) const {
    const auto length = [this](Offset end) {
        return static_cast<double>(std::max<Offset>(end - state.log_start, 0));
    };
    const double all = std::max(length(state.log_end), 1.0);
    return static_cast<std::uint64_t>(static_cast<double>(state.bytes) *
                                      std::min(length(to) / all, 1.0));
}

void Stream::prune_anchors() {
    std::size_t dead = 0;
    while (dead + 1 < anchors.size() && anchors[dead + 1].first_offset <= state.log_start) ++dead;
    anchors.erase(anchors.begin(), anchors.begin() + static_cast<std::ptrdiff_t>(dead));
}

Located locate(const Stream& stream, Offset target) {
    const auto& anchors = stream.anchors;
    if (anchors.empty()) return {};
    const auto after = std::upper_bound(
        anchors.begin(), anchors.end(), target,
        [](Offset offset, const Link& link) { return offset < link.first_offset; });
    if (after == anchors.end()) return {anchors.back(), true, true};
    if (after != anchors.begin() && std::prev(after)->ordinal + 1 == after->ordinal)
        return {*std::prev(after), true, true};
    return {*after, false, true};
}

Located locate_time(const Stream& stream, std::int64_t target) {
    const auto& anchors = stream.anchors;
    const auto at = std::lower_bound(
        anchors.begin(), anchors.end(), target,
        [](const Link& link, std::int64_t time) { return link.max_timestamp < time; });
    if (at == anchors.end()) return {};
    return {*at, at != anchors.begin() && std::prev(at)->ordinal + 1 == at->ordinal, true};
}

std::uint32_t Streams::anchors_limit() const {
    const std::size_t fit = 4 * MiB / sizeof(Link) / std::max<std::size_t>(1, streams_.size());
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(fit, 8, anchors_max));
}

}  // namespace leat::log
