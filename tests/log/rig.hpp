// A log on a simulated device, driven like the node drives it.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "broker/log/frame.hpp"
#include "broker/log/testing.hpp"
#include "sdk/base/crc32c.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::log::test {

using leat::test::SimEntropy;
using leat::test::SimImage;
using leat::test::SimRandom;
using leat::test::SimStorage;
using leat::test::SimStorageOptions;
using leat::test::Tear;

/// A valid RecordBatch of `count` records whose body is `size` bytes that depend on `salt` only.
struct BatchSpec {
    std::uint32_t count = 1;
    std::size_t size = 100;
    std::uint64_t salt = 0;
    std::int64_t timestamp = 1'000;
    std::int64_t producer_id = -1;
    std::int16_t epoch = -1;
    std::int32_t sequence = -1;
};
inline std::vector<std::uint8_t> make_batch(const BatchSpec& spec) {
    std::vector<std::uint8_t> batch(batch_header_bytes + spec.size);
    SimRandom random(spec.salt * 1000 + spec.size);
    for (std::size_t i = batch_header_bytes; i < batch.size(); ++i)
        batch[i] = static_cast<std::uint8_t>(random.next());
    store_big<std::int32_t>(batch.data() + 8, static_cast<std::int32_t>(batch.size() - 12));
    batch[16] = 2;
    store_big<std::int32_t>(batch.data() + 23, static_cast<std::int32_t>(spec.count - 1));
    store_big<std::int64_t>(batch.data() + 27, spec.timestamp);
    store_big<std::int64_t>(batch.data() + 35, spec.timestamp);
    store_big<std::int64_t>(batch.data() + 43, spec.producer_id);
    store_big<std::int16_t>(batch.data() + 51, spec.epoch);
    store_big<std::int32_t>(batch.data() + 53, spec.sequence);
    store_big<std::int32_t>(batch.data() + 57, static_cast<std::int32_t>(spec.count));
    store_big<std::uint32_t>(batch.data() + 17,
                             crc32c(0, ByteView(batch).subspan(outside_kafka_crc)));
    return batch;
}

constexpr std::uint32_t small_segment = 64 * KiB;
constexpr std::uint64_t small_device = 32 * KiB + 16 * 64 * KiB;

inline LogConfig small_config() {
    LogConfig config;
    config.segment_bytes = small_segment;
    config.commit_interval = milliseconds(0);
    config.recent_bytes = 64 * KiB;
    config.cache_bytes = 256 * KiB;
    config.build_date = wall_ms(1'700'000'000'000);
    return config;
}

/// One run of a log: open to close or crash.
struct Rig {
    SimStorage& device;
    SimEntropy entropy;
    std::unique_ptr<Log> log;
    std::int64_t now = 1'000'000;
    std::int64_t wall = 1'800'000'000'000;

    explicit Rig(SimStorage& storage, LogConfig config = small_config(), SeededFaults faults = {},
                 std::uint64_t seed = 42, RecordFilter filter = {})
        : device(storage),
          entropy(seed),
          log(make_faulty_log(storage, entropy, std::move(config), faults, std::move(filter))) {}

    Status open() { return log->open(instant_ms(now), wall_ms(wall)); }
    Instant at() const { return instant_ms(now); }
    /// Lets everything that is due or finished happen, without letting time pass.
    void settle() {
        for (int i = 0; i < 10'000; ++i) {
            const auto before = device.counts();
            log->on_storage(at());
            if (log->deadline() <= at()) log->on_deadline(at(), wall_ms(wall));
            const auto& after = device.counts();
            if (before.writes == after.writes && before.reads == after.reads &&
                before.erases == after.erases && log->deadline() > at())
                return;
        }
    }
    void pass(std::int64_t ms) {
        now += ms;
        wall += ms;
        log->on_deadline(at(), wall_ms(wall));
        settle();
    }
    Result<Appended> append(StreamId stream, const BatchSpec& spec) {
        const auto batch = make_batch(spec);
        return log->append(at(), wall_ms(wall),
                           {.stream = stream, .batch = batch, .log_append_time = {}});
    }
    /// Appends and waits until it is durable; false: refused or given up.
    bool append_durably(StreamId stream, const BatchSpec& spec) {
        const auto appended = append(stream, spec);
        if (!appended) return false;
        settle();
        return log->flushed_commit() >= appended->commit;
    }
    /// Reads everything of a stream from `from` on; stops at the first error.
    struct ReadAll {
        std::vector<std::uint8_t> bytes;
        Offset next = 0;
        std::optional<Error> error;
    };
    ReadAll read_all(StreamId stream, Offset from, std::size_t window = 48 * KiB) {
        ReadAll all;
        all.next = from;
        std::vector<std::uint8_t> into(window);
        for (;;) {
            const auto ticket = log->start_read(
                at(), {.stream = stream, .from = all.next, .until = INT64_MAX}, into);
            if (!ticket) {
                all.error = ticket.error();
                return all;
            }
            std::optional<ReadDone> done;
            for (int i = 0; i < 10'000 && !(done = log->poll_read()); ++i) log->on_storage(at());
            if (!done) {
                all.error = Error::timed_out;
                return all;
            }
            if (!done->bytes) {
                if (done->bytes.error() == Error::too_large && done->needed > into.size()) {
                    into.resize(done->needed);
                    continue;
                }
                all.error = done->bytes.error();
                all.next = done->next;
                return all;
            }
            if (*done->bytes == 0) {
                all.next = done->next;
                return all;
            }
            all.bytes.insert(all.bytes.end(), into.begin(),
                             into.begin() + static_cast<std::ptrdiff_t>(*done->bytes));
            all.next = done->next;
        }
    }
    void close() {
        log->close(at(), wall_ms(wall));
        settle();
    }
};

/// A batch as a reader gets it, split off the front of `bytes`; empty at the end or where it makes
/// no sense.
inline ByteView next_batch(ByteView& bytes) {
    const auto fields = read_batch_fields(bytes);
    if (!fields || fields->total_bytes > bytes.size()) return {};
    const ByteView batch = bytes.first(fields->total_bytes);
    bytes = bytes.subspan(fields->total_bytes);
    return batch;
}

inline std::vector<Offset> base_offsets(ByteView bytes) {
    std::vector<Offset> offsets;
    while (!bytes.empty()) {
        const ByteView batch = next_batch(bytes);
        if (batch.empty()) break;
        offsets.push_back(read_batch_fields(batch)->base_offset);
    }
    return offsets;
}

}  // namespace leat::log::test
