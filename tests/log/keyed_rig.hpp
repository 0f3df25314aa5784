// A log that compacts by key, driven like the node drives it.
#pragma once

#include <doctest/doctest.h>

#include "tests/log/keyed.hpp"

namespace leat::log::test {

constexpr std::uint64_t medium = 32 * KiB + 64 * 64 * KiB;
inline const StreamPolicy compacted{.compact = true};

inline LogConfig compact_config() {
    LogConfig config = small_config();
    config.compaction_every = milliseconds(1'000);
    return config;
}

struct KeyedRig : Rig {
    explicit KeyedRig(SimStorage& storage, LogConfig config = compact_config(),
                      SeededFaults faults = {})
        : Rig(storage, std::move(config), faults, 42, topics::filter_records) {}

    /// Durable when it returns; -1: the log is full.
    Offset put(StreamId stream, const KeyedSpec& spec) {
        const auto batch = make_keyed_batch(spec);
        const auto appended = log->append(
            at(), wall_ms(wall), {.stream = stream, .batch = batch, .log_append_time = {}});
        if (!appended) return -1;
        settle();
        REQUIRE(log->flushed_commit() >= appended->commit);
        return appended->base_offset;
    }
    ByOffset records(StreamId stream, Offset from = 0) {
        const auto all = read_all(stream, from);
        REQUIRE(!all.error);
        CHECK(all.next == log->stream(stream)->log_end);
        ByOffset found;
        REQUIRE(take_records(all.bytes, found));
        return found;
    }
    void rest(int seconds) {
        for (int i = 0; i < seconds * 10; ++i) pass(100);
    }
    const LogCounters& counters() const { return log->counters(); }
};

inline KeyedValue update(std::uint64_t key, std::uint64_t n, std::size_t size = 200) {
    KeyedValue record{.key = "key-" + std::to_string(key), .value = std::to_string(n) + ":"};
    record.value->resize(size, static_cast<char>('a' + n % 26));
    record.timestamp = 1'000'000 + static_cast<std::int64_t>(n);
    return record;
}

}  // namespace leat::log::test
