// The records of a batch by their keys, for the log's compaction: the log has no codecs.
#pragma once

#include "broker/log/log.hpp"

namespace leat::topics {

/// A batch that expands to more stays as it is: the rest of it has to be written anew in memory.
constexpr std::size_t filtered_bytes_max = 1024 * 1024;

/// log::RecordFilter. Offsets, producer, sequence and base timestamp stay as they are, as Kafka's
/// cleaner leaves them; the count shrinks, and with CreateTime the largest timestamp is that of
/// what stays.
Result<std::uint32_t> filter_records(ByteView batch, const log::KeepRecord& keep,
                                     std::vector<std::uint8_t>* kept);

}  // namespace leat::topics
