#pragma once
#include <optional>

#include "broker/log/log.hpp"

namespace leat::topics {

/// The first record of `batch` at offset `from` or behind whose timestamp is at least `target`:
/// what log.start_find_time looks into a batch with, because only this room knows codecs. Records
/// may be out of order by time. Null: none, or the batch cannot be read.
std::optional<log::TimeDone::Found> find_record_time(ByteView batch, std::int64_t target,
                                                     log::Offset from);

}  // namespace leat::topics
