// Control batches: the markers that end a transaction in a partition (KIP-98). One record, never
// compressed, base_sequence -1; it takes one offset and is never shown to users.
#pragma once

#include "sdk/wire/record_batch.hpp"

namespace leat::wire {

struct ControlMarker {
    std::int16_t type = 0;  ///< 0 abort, 1 commit; readers skip types that they do not know
    std::int32_t coordinator_epoch = 0;

    static constexpr std::int16_t abort = 0;
    static constexpr std::int16_t commit = 1;
};

/// Whose transaction ends, and where and when the marker stands.
struct MarkerPlace {
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int64_t base_offset = 0;
    std::int32_t partition_leader_epoch = 0;
    std::int64_t timestamp = 0;
};

constexpr std::size_t control_batch_size = batch_header_size + 17;

/// fails: invalid (not a control batch) · malformed · unsupported (a later key version)
Result<ControlMarker> read_control_marker(const BatchView& batch);

/// Writes a whole control batch to control_batch_size bytes.
void write_control_marker(const ControlMarker& marker, const MarkerPlace& place, std::uint8_t* at);

}  // namespace leat::wire
