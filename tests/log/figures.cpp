// What a large log costs, measured: `log_figures [--hold] [GiB...]` fills a log, cuts it off
// without a stop, and starts again. --hold fails where a start reads more than 32 MiB (64 with
// 10,000 partitions) or the log holds more than 16 MiB of heap. One line per size and number of
// partitions. Payload is zeros, which the device in memory does not store; everything else is
// written and read for real.
#include <malloc.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;

namespace {

/// A device in memory that keeps of each page what lies between its first and last byte that is
/// not zero. Writes and reads finish at once; a start is also told in the time of a real one.
class ThinDevice final : public port::Storage {
public:
    explicit ThinDevice(std::uint64_t size) : size_(size), pages_(size / page) {}
    port::StorageGeometry geometry() const override {
        port::StorageGeometry geometry;
        geometry.size = size_;
        return geometry;
    }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        bytes_written += bytes.size();
        std::array<std::uint8_t, page> whole;
        for (std::size_t done = 0; done < bytes.size();) {
            const std::size_t from = (at + done) % page;
            const auto size = std::min<std::size_t>(page - from, bytes.size() - done);
            std::unique_ptr<std::uint8_t[]>& kept = pages_[(at + done) / page];
            unpack(kept, whole);
            std::memcpy(whole.data() + from, bytes.data() + done, size);
            pack(whole, kept);
            done += size;
        }
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        bytes_read += into.size();
        ++reads;
        std::array<std::uint8_t, page> whole;
        for (std::size_t done = 0; done < into.size();) {
            const std::size_t from = (at + done) % page;
            const auto size = std::min<std::size_t>(page - from, into.size() - done);
            unpack(pages_[(at + done) / page], whole);
            std::memcpy(into.data() + done, whole.data() + from, size);
            done += size;
        }
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t) override {
        done_.push_back({ticket, ok()});  // it is new: it holds zeros where nothing is
        return ok();
    }
    Status start_shrink(std::uint64_t ticket, std::uint64_t) override {
        done_.push_back({ticket, ok()});
        return ok();
    }
    std::optional<port::StorageDone> poll_done() override {
        if (done_.empty()) return std::nullopt;
        const port::StorageDone first = done_.front();
        done_.pop_front();
        return first;
    }
    void wait_done() override {}
    std::uint64_t bytes_written = 0, bytes_read = 0, reads = 0;

private:
    static constexpr std::size_t page = 4096;
    using Page = std::array<std::uint8_t, page>;
    static void unpack(const std::unique_ptr<std::uint8_t[]>& kept, Page& whole) {
        whole.fill(0);
        if (!kept) return;
        std::uint16_t place[2];
        std::memcpy(place, kept.get(), sizeof place);
        std::memcpy(whole.data() + place[0], kept.get() + sizeof place, place[1]);
    }
    static void pack(const Page& whole, std::unique_ptr<std::uint8_t[]>& kept) {
        const auto any = [](std::uint8_t byte) { return byte != 0; };
        const auto first = std::find_if(whole.begin(), whole.end(), any);
        const auto last = std::find_if(whole.rbegin(), whole.rend(), any).base();
        kept.reset();
        if (first >= last) return;
        const std::uint16_t place[2] = {static_cast<std::uint16_t>(first - whole.begin()),
                                        static_cast<std::uint16_t>(last - first)};
        kept = std::make_unique<std::uint8_t[]>(sizeof place + place[1]);
        std::memcpy(kept.get(), place, sizeof place);
        std::copy(first, last, kept.get() + sizeof place);
    }
    std::uint64_t size_;
    std::vector<std::unique_ptr<std::uint8_t[]>> pages_;
    std::deque<port::StorageDone> done_;
};

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}
double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(MiB); }
std::size_t heap() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "log_figures: %s\n", what);
    std::exit(1);
}

/// Batches of zeros, one producer per partition, partitions in turn.
void measure(bool hold, std::uint64_t gib, StreamId partitions, std::size_t batch_bytes) {
    ThinDevice device(32 * KiB + gib * 1024 * MiB);
    log::test::SimEntropy entropy(7);
    LogConfig config;
    config.commit_interval = milliseconds(0);
    Instant now = instant_ms(1'000'000);
    WallTime wall = wall_ms(1'800'000'000'000);
    std::uint64_t payload = 0;
    double spent = 0, overhead = 0;
    std::vector<Offset> ends(partitions + 1);
    {
        const auto log = make_faulty_log(device, entropy, config, {});
        if (!log->open(now, wall)) stop(log->open_error_text().c_str());
        for (StreamId id = 1; id <= partitions; ++id)
            if (!log->declare_stream(id, {})) stop("a stream is refused");
        log::test::BatchSpec spec{.count = 80, .size = batch_bytes - batch_header_bytes};
        std::vector<std::uint8_t> batch = log::test::make_batch(spec);
        std::fill(batch.begin() + batch_header_bytes, batch.end(), std::uint8_t{0});
        const double from = seconds();
        for (std::uint64_t i = 0;; ++i) {
            const StreamId id = static_cast<StreamId>(i % partitions) + 1;
            store_big<std::int64_t>(batch.data() + 43, id);
            store_big<std::int16_t>(batch.data() + 51, 0);
            store_big<std::int32_t>(batch.data() + 53,
                                    static_cast<std::int32_t>(i / partitions * 80 & 0x7FFFFFFF));
            store_big<std::uint32_t>(batch.data() + 17,
                                     crc32c(0, ByteView(batch).subspan(outside_kafka_crc)));
            const auto appended =
                log->append(now, wall, {.stream = id, .batch = batch, .log_append_time = {}});
            if (!appended && appended.error() == Error::full) break;
            if (!appended && appended.error() != Error::would_block) stop("an append failed");
            if (!appended) {
                --i;
                now += milliseconds(5);
                wall += milliseconds(5);
                log->on_deadline(now, wall);
                log->on_storage(now);
                continue;
            }
            payload += batch.size();
            ends[id] = appended->base_offset + 80;
        }
        for (int i = 0; i < 1'000; ++i) {
            log->flush_soon(now);
            log->on_deadline(now, wall);
            log->on_storage(now);
        }
        spent = seconds() - from;
        const LogCounters& counters = log->counters();
        overhead = 100.0 *
                   static_cast<double>(counters.written_footer + counters.written_checkpoint) /
                   static_cast<double>(device.bytes_written);
    }
    const std::uint64_t read_before = device.bytes_read, reads_before = device.reads;
    const std::size_t heap_before = heap();
    const double from = seconds();
    const auto log = make_faulty_log(device, entropy, config, {});
    if (!log->open(now, wall)) stop(log->open_error_text().c_str());
    const double start = seconds() - from;
    const std::size_t index = heap() - heap_before;
    for (StreamId id = 1; id <= partitions; ++id)
        if (log->stream(id) == nullptr || log->stream(id)->log_end != ends[id])
            stop("a partition came back shorter than it was");
    const std::uint64_t read = device.bytes_read - read_before, reads = device.reads - reads_before;
    const double emmc = static_cast<double>(reads) * 0.0003 + mib(read) / 80;
    std::printf("%4llu %10u %8zu %8.0f %8.2f %9.1f %6llu %8.2f %10.2f %9.1f\n",
                static_cast<unsigned long long>(gib), partitions, batch_bytes, mib(payload) / spent,
                overhead, mib(read), static_cast<unsigned long long>(reads), start, start + emmc,
                mib(index));
    std::fflush(stdout);
    if (!hold) return;
    if (read > (partitions == 10 ? 32 : 64) * MiB) stop("a start reads too much");
    if (index > 16 * MiB) stop("the log holds too much memory");
}

}  // namespace

int main(int count, char** words) {
    std::puts(
        "start: CPU s, and on an eMMC of 0.3 ms a read and 80 MiB/s; heap: what the log holds");
    std::printf("%4s %10s %8s %8s %8s %9s %6s %8s %10s %9s\n", "GiB", "partitions", "batch B",
                "MiB/s", "index %", "read MiB", "reads", "start s", "eMMC s", "heap MiB");
    const bool hold = count > 1 && std::strcmp(words[1], "--hold") == 0;
    std::vector<std::uint64_t> sizes;
    for (int i = hold ? 2 : 1; i < count; ++i)
        sizes.push_back(std::strtoull(words[i], nullptr, 10));
    if (sizes.empty()) sizes.push_back(1);
    for (const std::uint64_t gib : sizes) {
        if (gib == 0) stop("usage: log_figures [--hold] [GiB...]");
        for (const StreamId partitions : {10u, 10'000u})
            for (const std::size_t batch : {16 * KiB, 2 * KiB})
                if (batch == 16 * KiB || gib <= 8) measure(hold, gib, partitions, batch);
    }
}
