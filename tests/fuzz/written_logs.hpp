// Logs for fuzzers to hurt: written once, by the real log, with everything in them that a device of years has.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tests/fuzz/flash_changes.hpp"
#include "tests/log/keyed.hpp"

namespace leat::log::fuzz {

using namespace leat::log::test;

constexpr StreamId keyed_first = 1, keyed_last = 2, expiring = 3, kept = 4;

/// Every record that was ever given an offset, by whichever run.
struct Sent {
    std::map<StreamId, std::map<Offset, std::vector<KeyedValue>>> records;
    bool has(StreamId stream, Offset offset, const KeyedValue& value) const;
};

inline LogConfig busy_config() {
    LogConfig config = small_config();
    config.compaction_every = milliseconds(1'000);
    config.scrub_every = milliseconds(60'000);
    config.group_bytes_max = 16 * KiB;
    return config;
}

void declare(Rig& rig);
struct Put {
    Offset base = 0, end = 0;
    CommitId commit = 0;
};
/// One to three records with keys, told by `serial`; none: the log refused them.
std::optional<Put> put_keyed(Rig& rig, StreamId stream, std::uint64_t serial, Sent& sent);

/// Four kinds: 0 begun; 1 compacted streams that are yet to be compacted, three runs; 2 recycled many times and
/// compacted, its last run cut; 3 segments of 2 MiB, whose checkpoints carry parity.
constexpr std::size_t written_logs = 4;
const Written& written(std::size_t which);
/// What was sent into it.
const Sent& sent_into(std::size_t which);

}  // namespace leat::log::fuzz
