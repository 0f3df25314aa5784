// What a large log costs, measured: `log_figures [--hold] [GiB...]` fills a log and starts it anew
// after a clean stop, after a power cut, and when its newest checkpoint is torn, which is damage:
// then every segment header is read. One line per size, number of partitions and start.
//
// --hold fails where a start reads more than 32 MiB or takes longer than a second (10,000
// partitions with a producer each: 64 MiB, three seconds; torn: another millisecond for each
// segment), or the log holds more than 16 MiB of heap; of large logs it takes large batches only.
// Records are zeros, which the device in memory does not keep; everything else is written and read
// for real.
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "tests/log/rig.hpp"
#include "tests/log/thin_device.hpp"

using namespace leat;
using namespace leat::log;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool true_times = false;
#else
constexpr bool true_times = true;
#endif

/// Of this program, however busy the machine is.
double cpu_ms() { return static_cast<double>(std::clock()) * 1000 / CLOCKS_PER_SEC; }
double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(MiB); }
std::size_t heap() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

[[noreturn]] void stop(const char* what) {
    std::fflush(stdout);
    std::fprintf(stderr, "log_figures: %s\n", what);
    std::exit(1);
}

/// The last page of the newest checkpoint is lost, and more in front of it than its parity gives
/// back.
void tear_newest_checkpoint(log::test::ThinDevice& device) {
    std::optional<Superblock> newest;
    std::vector<std::uint8_t> bytes(superblock_bytes);
    for (const std::uint64_t slot : {0u, 1u}) {
        device.get(slot * 16 * KiB, bytes);
        const auto found = decode_superblock(bytes);
        if (found && (!newest || newest->sequence < found->sequence)) newest = *found;
    }
    if (!newest || !newest->checkpoint.is()) stop("there is no checkpoint");
    const CheckpointPlace& place = newest->checkpoint;
    const std::uint64_t from = place.position - std::min<std::uint32_t>(64 * KiB, place.position);
    bytes.assign(place.position + place.bytes - from, 0);
    device.put(newest->pool_start + std::uint64_t{place.segment} * newest->segment_bytes + from,
               bytes);
}

class Figures {
public:
    Figures(bool hold, std::uint64_t gib, StreamId partitions, std::size_t batch_bytes)
        : hold_(hold),
          gib_(gib),
          partitions_(partitions),
          batch_bytes_(batch_bytes),
          device_(32 * KiB + gib * 1024 * MiB),
          ends_(partitions + 1) {
        config_.commit_interval = milliseconds(0);
    }

    void measure() {
        const auto log = fill();
        for (const bool torn : {false, true}) {
            device_.begin_trial();
            if (torn) tear_newest_checkpoint(device_);
            start(torn ? "torn" : "cut", torn);
            device_.end_trial();
        }
        log->close(now_, wall_);
        for (int i = 0; i < 1'000 && !log->closed(); ++i) turn(*log);
        if (!log->closed()) stop("the log does not close");
        start("clean");
    }

private:
    void turn(Log& log) {
        now_ += milliseconds(5);
        wall_ += milliseconds(5);
        log.on_deadline(now_, wall_);
        log.on_storage(now_);
    }

    /// Batches of zeros, one producer per partition, partitions in turn, until there is no room.
    std::unique_ptr<Log> fill() {
        auto log = make_log(device_, entropy_, config_);
        if (!log->open(now_, wall_)) stop(log->open_error_text().c_str());
        for (StreamId id = 1; id <= partitions_; ++id)
            if (!log->declare_stream(id, {})) stop("a stream is refused");
        const log::test::BatchSpec spec{.count = 80, .size = batch_bytes_ - batch_header_bytes};
        auto batch = log::test::make_batch(spec);
        std::fill(batch.begin() + batch_header_bytes, batch.end(), std::uint8_t{0});
        const double from = cpu_ms();
        for (std::uint64_t i = 0;; ++i) {
            const StreamId id = static_cast<StreamId>(i % partitions_) + 1;
            store_big<std::int64_t>(batch.data() + 43, id);
            store_big<std::int16_t>(batch.data() + 51, 0);
            store_big<std::int32_t>(batch.data() + 53,
                                    static_cast<std::int32_t>(i / partitions_ * 80 & 0x7FFFFFFF));
            store_big<std::uint32_t>(batch.data() + 17,
                                     crc32c(0, ByteView(batch).subspan(outside_kafka_crc)));
            const auto appended =
                log->append(now_, wall_, {.stream = id, .batch = batch, .log_append_time = {}});
            if (!appended && appended.error() == Error::full) break;
            if (!appended && appended.error() != Error::would_block) stop("an append failed");
            if (!appended) {
                --i;
                turn(*log);
                continue;
            }
            payload_ += batch.size();
            ends_[id] = appended->base_offset + 80;
        }
        for (int i = 0; i < 1'000; ++i) {
            log->flush_soon(now_);
            log->on_deadline(now_, wall_);
            log->on_storage(now_);
        }
        const double spent = cpu_ms() - from;
        const LogCounters& counters = log->counters();
        std::printf("%llu GiB, %u partitions, batches of %zu B: %.0f MiB/s, footers and "
                    "checkpoints %.2f %%\n",
                    static_cast<unsigned long long>(gib_), partitions_, batch_bytes_,
                    mib(payload_) / spent * 1000,
                    100.0 *
                        static_cast<double>(counters.written_footer + counters.written_checkpoint) /
                        static_cast<double>(device_.bytes_written));
        return log;
    }

    void start(const char* kind, bool torn = false) {
        const std::uint64_t read_before = device_.bytes_read;
        const std::size_t heap_before = heap();
        const double cpu_before = cpu_ms(), emmc_before = device_.emmc_us;
        const auto log = make_log(device_, entropy_, config_);
        if (!log->open(now_, wall_)) stop(log->open_error_text().c_str());
        const double cpu = cpu_ms() - cpu_before;
        const double emmc = (device_.emmc_us - emmc_before) / 1000;
        const std::uint64_t read = device_.bytes_read - read_before;
        const std::size_t held = heap() - heap_before;
        for (StreamId id = 1; id <= partitions_; ++id)
            if (log->stream(id) == nullptr || log->stream(id)->log_end != ends_[id])
                stop("a partition came back shorter than it was");
        std::printf("%6llu %10u %8zu %-10s %7.0f %8.0f %9.1f %9.1f\n",
                    static_cast<unsigned long long>(gib_), partitions_, batch_bytes_, kind, cpu,
                    emmc, mib(read), mib(held));
        std::fflush(stdout);
        if (!hold_) return;
        const bool few = partitions_ == 10;
        const double limit_ms = (few ? 1'000 : 3'000) + (torn ? log->status().segments : 0);
        if (!torn && read > (few ? 32 : 64) * MiB) stop("a start reads too much");
        if (emmc + (true_times ? cpu : 0) > limit_ms) stop("a start takes too long");
        if (held > 16 * MiB) stop("the log holds too much memory");
    }

    bool hold_;
    std::uint64_t gib_;
    StreamId partitions_;
    std::size_t batch_bytes_;
    log::test::ThinDevice device_;
    log::test::SimEntropy entropy_{7};
    LogConfig config_;
    Instant now_ = instant_ms(1'000'000);
    WallTime wall_ = wall_ms(1'800'000'000'000);
    std::uint64_t payload_ = 0;
    std::vector<Offset> ends_;
};

}  // namespace

int main(int count, char** words) {
    const bool hold = count > 1 && std::strcmp(words[1], "--hold") == 0;
    std::vector<std::uint64_t> sizes;
    for (int i = hold ? 2 : 1; i < count; ++i)
        sizes.push_back(std::strtoull(words[i], nullptr, 10));
    if (sizes.empty()) sizes.push_back(1);
    std::puts("a start: of the processor, on an eMMC (0.3 ms and 80 MB/s a read), what is read and "
              "what the log then holds");
    std::printf("%6s %10s %8s %-10s %7s %8s %9s %9s\n", "GiB", "partitions", "batch B", "stop",
                "CPU ms", "eMMC ms", "read MiB", "heap MiB");
    for (const std::uint64_t gib : sizes) {
        if (gib == 0) stop("usage: log_figures [--hold] [GiB...]");
        for (const StreamId partitions : {10u, 10'000u})
            for (const std::size_t batch : {64 * KiB, 16 * KiB, 2 * KiB})
                if (!hold || batch == 64 * KiB || gib < 8)
                    Figures(hold, gib, partitions, batch).measure();
    }
}
