// Batches made anew where they cannot go as they are: records go to several partitions by key, get
// headers, or carry the log's append time. The codec stays the batch's own.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "leat/result.hpp"
#include "sdk/client/batch_source.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::uplink {

/// A part is closed before its plain records grow beyond this, so that headers do not push a batch
/// over the upstream's max.message.bytes (1,048,588 by default). A single longer record stays
/// whole.
constexpr std::size_t part_bytes_max = 512 * 1024;
/// Batches whose records expand to more, all together, are not taken apart.
constexpr std::size_t plain_bytes_max = 64 * 1024 * 1024;

/// Offsets of the log, `to` exclusive.
struct OffsetRange {
    std::int64_t from = 0, to = 0;
};

struct ReencodeRules {
    /// by_key: partitions upstream; 0: all records stay together in `partition`.
    std::int32_t partition_count = 0;
    std::int32_t partition = 0;  ///< for all, or for records without key
    /// Set: leat-gateway, leat-offset and leat-epoch on each record.
    std::optional<std::string> gateway_id = std::nullopt;
    /// Counts the records that carry this gateway's name already: they were upstream before, came
    /// back, and are left out.
    std::size_t* returned = nullptr;
    /// Plain bytes of a part, as a share of all: `of_bytes` are to become parts of `to_bytes`.
    std::size_t to_bytes = 1, of_bytes = 1;
    /// Records before it are left out. The cuts behind it are the same as without it.
    std::int64_t from_offset = INT64_MIN;
    /// These, too. In order.
    std::span<const OffsetRange> without = {};
};

/// What becomes one batch upstream.
struct Part {
    std::int32_t partition = 0;
    std::vector<std::uint8_t> records;  ///< bytes 61 to the end, compressed
    wire::BatchHeader header;           ///< counts, time stamps, codec
    std::vector<OffsetRange> offsets;   ///< of its records in the log, in order
};

/// A batch whose bytes 61 to the end may be sent as they are: Kafka takes no gaps from a producer,
/// and no LogAppendTime.
bool may_go_whole(const wire::BatchHeader& header);

/// The parts in order: per partition the records keep their order. Several batches become one run,
/// as if they had been one batch; they are of one codec and one timestamp type. fails: malformed,
/// too_large: the records cannot be taken apart
Result<std::vector<Part>> reencode(std::span<const wire::BatchView> batches,
                                   const ReencodeRules& rules);
/// One batch as several, none much larger than `bytes_max` with its header, but where a single
/// record is. The same cuts each time. The offsets of the parts count from 0. fails: as reencode
Result<std::vector<Part>> split(const client::SourceBatch& batch, std::size_t bytes_max);
/// One batch without the records at these places, which are in order and count from 0, as do the
/// offsets of the parts. fails: as reencode
Result<std::vector<Part>> leave_out(const client::SourceBatch& batch,
                                    std::span<const OffsetRange> places);
inline Result<std::vector<Part>> reencode(const wire::BatchView& batch,
                                          const ReencodeRules& rules) {
    return reencode({&batch, 1}, rules);
}

}  // namespace leat::uplink
