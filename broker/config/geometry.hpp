#pragma once

#include <cstdint>

namespace leat::config {

/// The segment size of a new log where none is set. A batch must fit half a segment, and clients
/// batch up to a megabyte by default: so the segment follows message.max.bytes, as long as 32
/// segments remain (below that recycling is too coarse) and not more than 16,384 are needed. A
/// power of two from 64 KiB to 64 MiB.
constexpr std::uint32_t segment_bytes_for(std::uint64_t device_bytes,
                                          std::uint32_t message_bytes_max) {
    constexpr std::uint32_t segment_min = 64 * 1024, segment_max = 64 * 1024 * 1024;
    constexpr std::uint64_t segments_min = 32, segments_max = 16'384;
    std::uint32_t segment = segment_min;
    while (segment < segment_max && (device_bytes / segment > segments_max ||
                                     (segment < std::uint64_t{2} * message_bytes_max &&
                                      device_bytes / (std::uint64_t{2} * segment) >= segments_min)))
        segment *= 2;
    return segment;
}

}  // namespace leat::config
