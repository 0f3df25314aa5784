// The smallest log there is and the largest: 1 MiB in all, and 1 TiB.
#include <doctest/doctest.h>
#include <malloc.h>

#include <cstdio>

#include "tests/log/rig.hpp"
#include "tests/log/thin_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t tib = std::uint64_t{1024} * 1024 * MiB;

std::size_t heap() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

/// One run of a log with everything as it is by default.
struct Life {
    ThinDevice& device;
    SimEntropy entropy;
    std::unique_ptr<Log> log;
    std::int64_t ms = 1'000'000;
    std::size_t heap_bytes = heap();
    std::uint64_t read_bytes = 0;
    double emmc_ms = 0;

    Life(ThinDevice& thin, std::uint64_t seed) : device(thin), entropy(seed) {
        LogConfig config;
        config.commit_interval = milliseconds(0);
        const std::uint64_t read_before = device.bytes_read;
        const double us_before = device.emmc_us;
        log = make_log(device, entropy, config);
        REQUIRE(log->open(at(), wall()));
        heap_bytes = heap() - std::min(heap(), heap_bytes);
        read_bytes = device.bytes_read - read_before;
        emmc_ms = (device.emmc_us - us_before) / 1000;
        REQUIRE(log->declare_stream(1, {}));
    }
    Instant at() const { return instant_ms(ms); }
    WallTime wall() const { return wall_ms(1'800'000'000'000 + ms); }
    void turn() {
        log->on_storage(at());
        ++ms;
        log->on_deadline(at(), wall());
    }
    /// What is refused because it cannot be taken now is tried again.
    Status append(ByteView batch) {
        for (;;) {
            const auto appended =
                log->append(at(), wall(), {.stream = 1, .batch = batch, .log_append_time = {}});
            if (appended) return ok();
            if (appended.error() != Error::would_block) return fail(appended.error());
            turn();
        }
    }
    Status append_durably(ByteView batch) {
        const Status appended = append(batch);
        const Offset end = log->stream(1)->log_end;
        for (int i = 0; appended && i < 100 && log->stream(1)->flushed < end; ++i) turn();
        REQUIRE((!appended || log->stream(1)->flushed == end));
        return appended;
    }
    void close() {
        log->close(at(), wall());
        for (int i = 0; i < 100 && !log->closed(); ++i) turn();
        REQUIRE(log->closed());
    }
    /// One record in each batch, each whole and as it was sent: these in one read.
    Offset check(Offset from, std::size_t batch_bytes, MutableBytes into) {
        REQUIRE(log->start_read(at(), {.stream = 1, .from = from, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        for (int i = 0; i < 1'000 && !(done = log->poll_read()); ++i) log->on_storage(at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        REQUIRE(*done->bytes > 0);
        for (ByteView left = into.first(*done->bytes); !left.empty(); ++from) {
            const ByteView batch = next_batch(left);
            REQUIRE(batch.size() == batch_bytes);
            REQUIRE(batch_crc_ok(batch));
            REQUIRE(read_batch_fields(batch)->base_offset == from);
        }
        return from;
    }
    void check_all(Offset end, std::size_t batch_bytes, Offset from = 0) {
        REQUIRE(log->stream(1)->log_end == end);
        REQUIRE(log->stream(1)->flushed == end);
        std::vector<std::uint8_t> into(batch_bytes * 2);
        while (from < end) from = check(from, batch_bytes, into);
        CHECK(from == end);
        CHECK(log->books(1).balanced());
        CHECK(log->counters().damaged_batches == 0);
    }
};

/// One record; its bytes are zeros, which the device keeps for nothing.
std::vector<std::uint8_t> zeros(std::size_t bytes) {
    std::vector<std::uint8_t> batch = make_batch({.size = bytes - batch_header_bytes});
    std::fill(batch.begin() + batch_header_bytes, batch.end(), std::uint8_t{0});
    store_big<std::uint32_t>(batch.data() + 17,
                             crc32c(0, ByteView(batch).subspan(outside_kafka_crc)));
    return batch;
}

}  // namespace

TEST_CASE("size: 1 MiB and 1 TiB are chosen a segment for, and stopped and cut they come back") {
    const struct {
        std::uint64_t bytes;
        std::uint32_t segments, segment_bytes;
        std::size_t batch_bytes;
    } logs[] = {{MiB, 15, 64 * KiB, 20'000}, {tib, 16'383, 64 * MiB, 1'000'000}};
    std::size_t smallest = 0;
    for (const auto& size : logs) {
        INFO(size.bytes, " bytes");
        ThinDevice device(size.bytes);
        const auto batch = zeros(size.batch_bytes);
        Offset end = 0;
        const auto fill = [&](Life& life) {  // two segments and a piece
            const std::uint64_t from = life.log->counters().written_footer;
            const auto batches = static_cast<Offset>(size.segment_bytes / size.batch_bytes * 2 + 1);
            for (Offset i = 0; i < batches; ++i, ++end) REQUIRE(life.append_durably(batch));
            CHECK(life.log->counters().written_footer >= from + 2 * 4096);
        };
        {
            Life life(device, 1);
            const LogStatus status = life.log->status();
            CHECK(status.segments == size.segments);
            CHECK(status.segment_bytes == size.segment_bytes);
            fill(life);
            life.close();
        }
        {
            Life life(device, 2);
            CHECK(life.log->status().was_sealed);
            life.check_all(end, size.batch_bytes);
            fill(life);  // and the power fails
        }
        Life life(device, 3);
        CHECK_FALSE(life.log->status().was_sealed);
        CHECK(life.log->status().segments == size.segments);
        CHECK(life.log->stream(1)->log_start == 0);
        life.check_all(end, size.batch_bytes);
        REQUIRE(life.append_durably(batch));
        std::printf("a log of %.0f MiB: %u segments of %u KiB; a start after a power cut reads "
                    "%.1f MiB, %.0f ms on an eMMC; %zu KiB of heap\n",
                    static_cast<double>(size.bytes) / double(MiB), size.segments,
                    size.segment_bytes / 1024,
                    static_cast<double>(life.read_bytes) / double(MiB), life.emmc_ms,
                    life.heap_bytes / 1024);
        // The open segment is read whole.
        CHECK(life.read_bytes <= size.segment_bytes + 4 * MiB);
        CHECK(life.emmc_ms <= 1'000);
        // 48 bytes for each segment, and its place in the order in which they are taken.
        if (size.bytes == MiB) smallest = life.heap_bytes;
        CHECK(life.heap_bytes <= smallest + 64 * std::size_t{size.segments});
    }
}

// A write that fails closes its segment: so the ring gets to the device's end with hardly a record.
TEST_CASE("size: what stands at the end of 1 TiB is written, read and found again") {
    ThinDevice device(tib);
    const auto batch = zeros(1'000);
    std::vector<std::uint8_t> into(8'000);
    Offset end = 0;
    {
        Life life(device, 1);
        for (; life.append_durably(batch); ++end) {
            REQUIRE(end < 20'000);
            device.fail_next_write = true;
        }
        device.fail_next_write = false;
        CHECK(life.log->status().segments_free <= 8);
        CHECK(device.written_to > tib - 8 * 64 * MiB);
        for (Offset at = 0; at < end; at += 97) (void)life.check(at, batch.size(), into);
        life.check_all(end, batch.size(), end - 20);
    }
    Life life(device, 2);
    std::printf("1 TiB, %lld segments with a record each and no footer: a start reads %.0f MiB\n",
                static_cast<long long>(end), static_cast<double>(life.read_bytes) / double(MiB));
    CHECK(life.heap_bytes <= 2 * MiB);
    for (Offset at = 0; at < end; at += 97) (void)life.check(at, batch.size(), into);
    life.check_all(end, batch.size(), end - 20);
}
