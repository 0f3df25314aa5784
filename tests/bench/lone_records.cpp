// How long a log holds one device that sends ten records of 200 B a second, each on its own and
// durable before the next: `lone_records_bench [--scale N] FILE`. The log is the real one, on FILE
// (1 GiB, or an N-th of it), driven by a simulated clock: six days (or an N-th) in a minute or two.
// Records may be dropped for room, and nothing is delivered. Fails where less than three days are
// held at any time after the first three, or where what is held does not read back.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;

namespace {

constexpr std::size_t value_bytes = 200, record_bytes = 209;
constexpr std::uint64_t per_day = 864'000, every_ms = 100;

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "lone_records_bench: %s\n", what);
    std::exit(1);
}

/// A file; what was asked for is done at once, and nothing is synced: nobody cuts the power here.
class FileDevice final : public port::Storage {
public:
    FileDevice(const char* path, std::uint64_t size)
        : file_(::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)), size_(size) {
        if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>(size)) != 0)
            stop("the file cannot be made");
        (void)::unlink(path);
    }
    port::StorageGeometry geometry() const override {
        port::StorageGeometry geometry;
        geometry.size = size_;
        return geometry;
    }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
            static_cast<ssize_t>(bytes.size()))
            stop("the file takes no more: it needs room for the whole log");
        written += bytes.size();
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (::pread(file_, into.data(), into.size(), static_cast<off_t>(at)) !=
            static_cast<ssize_t>(into.size()))
            stop("the file cannot be read");
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t size) override {
        written += size;  // it is new, and holds zeros
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_shrink(std::uint64_t, std::uint64_t) override { return fail(Error::invalid); }
    std::optional<port::StorageDone> poll_done() override {
        if (done_.empty()) return std::nullopt;
        const port::StorageDone first = done_.front();
        done_.pop_front();
        return first;
    }
    void wait_done() override {}
    bool idle() const { return done_.empty(); }
    std::uint64_t written = 0;

private:
    int file_;
    std::uint64_t size_;
    std::deque<port::StorageDone> done_;
};

struct Gateway {
    FileDevice& device;
    log::test::SimEntropy entropy{7};
    std::unique_ptr<Log> log;
    std::int64_t now_ms = 1'000'000;

    explicit Gateway(FileDevice& file) : device(file) {
        LogConfig config;
        config.segment_bytes = static_cast<std::uint32_t>(file.geometry().size / 256);
        config.commit_interval = milliseconds(0);
        log = make_log(device, entropy, config);
        if (!log->open(now(), wall())) stop(log->open_error_text().c_str());
        if (!log->declare_stream(1, {.when_full = WhenFull::drop_oldest}))
            stop("the stream is refused");
    }
    Instant now() const { return instant_ms(now_ms); }
    WallTime wall() const { return wall_ms(1'800'000'000'000 + now_ms); }
    void settle() {
        for (int i = 0; i < 100'000; ++i) {
            log->on_storage(now());
            if (log->deadline() <= now()) log->on_deadline(now(), wall());
            if (device.idle() && log->deadline() > now()) return;
        }
    }
    /// Time passes, and the log is called whenever it wants to be.
    void pass_until(std::int64_t until_ms) {
        for (int i = 0; i < 1'000 && log->deadline() < instant_ms(until_ms); ++i) {
            now_ms = std::max(now_ms + 1, now_ms + (log->deadline() - now()).count());
            settle();
        }
        now_ms = std::max(now_ms, until_ms);
        settle();
    }
    std::uint64_t held() const {
        const StreamState& state = *log->stream(1);
        return static_cast<std::uint64_t>(state.log_end - state.log_start);
    }
};

/// Every record that is held, in order and whole.
void read_back(Gateway& gateway) {
    std::vector<std::uint8_t> into(1 * MiB);
    const StreamState state = *gateway.log->stream(1);
    for (Offset at = state.log_start; at < state.log_end;) {
        const auto ticket = gateway.log->start_read(
            gateway.now(), {.stream = 1, .from = at, .until = state.log_end}, into);
        if (!ticket) stop("a read is refused");
        std::optional<ReadDone> done;
        for (int i = 0; i < 100'000 && !(done = gateway.log->poll_read()); ++i)
            gateway.log->on_storage(gateway.now());
        if (!done || !done->bytes || *done->bytes == 0) stop("a record that is held cannot be read");
        ByteView left = ByteView(into).first(*done->bytes);
        while (!left.empty()) {
            const ByteView batch = log::test::next_batch(left);
            if (batch.empty() || !batch_crc_ok(batch) || read_batch_fields(batch)->base_offset != at)
                stop("a record that is held is not the one that was sent");
            ++at;
        }
    }
}

double days(std::uint64_t records) {
    return static_cast<double>(records) / static_cast<double>(per_day);
}
double ratio(std::uint64_t a, std::uint64_t b) {
    return static_cast<double>(a) / static_cast<double>(std::max<std::uint64_t>(b, 1));
}

}  // namespace

int main(int count, char** words) {
    const bool scaled = count == 4 && std::strcmp(words[1], "--scale") == 0;
    if (!scaled && count != 2) stop("usage: lone_records_bench [--scale N] FILE");
    const std::uint64_t scale = scaled ? std::strtoull(words[2], nullptr, 10) : 1;
    if (scale < 1 || scale > 64 || (scale & (scale - 1)) != 0) stop("N is 1, 2, 4 ... 64");
    const std::uint64_t wanted = 3 * per_day / scale, all = 2 * wanted;
    FileDevice device(words[count - 1], 1024 * MiB / scale);
    const auto begin = std::chrono::steady_clock::now();
    {
        Gateway gateway(device);
        std::uint64_t full_at = 0, least = UINT64_MAX, refused = 0;
        LogCounters at_full;
        std::uint64_t written_at_full = 0;
        log::test::BatchSpec spec{.size = record_bytes};
        for (std::uint64_t i = 0; i < all; ++i) {
            spec.salt = i;
            spec.timestamp = gateway.wall().time_since_epoch().count();
            const auto batch = log::test::make_batch(spec);
            const auto appended = gateway.log->append(
                gateway.now(), gateway.wall(),
                {.stream = 1, .batch = batch, .log_append_time = {}});
            if (appended) {
                gateway.settle();
                if (gateway.log->flushed_commit() < appended->commit) stop("a commit is not made");
            } else {
                --i;
                if (++refused > 10'000) stop("the log takes nothing more");
            }
            if (full_at == 0 && gateway.log->counters().dropped_records > 0) {
                full_at = i;
                at_full = gateway.log->counters();
                written_at_full = device.written;
            }
            if (full_at != 0 || i + 1 == all) least = std::min(least, gateway.held());
            gateway.pass_until(gateway.now_ms + static_cast<std::int64_t>(every_ms));
        }
        const LogCounters& counters = gateway.log->counters();
        const LogStatus status = gateway.log->status();
        const double times = static_cast<double>(scale);
        std::printf("a log of %llu MiB in %u segments of %u KiB; ten records of 200 B a second, "
                    "each synced alone%s\n",
                    static_cast<unsigned long long>(status.budget_bytes / MiB), status.segments,
                    status.segment_bytes / 1024, scale > 1 ? " (days are scaled like the log)" : "");
        std::printf("until the first is dropped: %llu records, %.2f days; %.2f bytes written per "
                    "payload byte, %.2f copied per byte freed\n",
                    static_cast<unsigned long long>(full_at), days(full_at) * times,
                    ratio(written_at_full, full_at * value_bytes),
                    ratio(at_full.cleaner_copied, at_full.cleaner_freed));
        std::printf("from then on, day after day: never less than %.2f days; %.2f bytes written per "
                    "payload byte, %.2f copied per byte freed; %llu refused\n",
                    days(least) * times,
                    ratio(device.written - written_at_full, (all - full_at) * value_bytes),
                    ratio(counters.cleaner_copied - at_full.cleaner_copied,
                          counters.cleaner_freed - at_full.cleaner_freed),
                    static_cast<unsigned long long>(refused));
        const auto part = [&](const char* name, std::uint64_t bytes) {
            std::printf("  %-12s %6.2f\n", name, ratio(bytes, all * value_bytes));
        };
        std::puts("bytes written per payload byte, by purpose:");
        part("records", counters.written_data);
        part("padding", counters.written_padding);
        part("footers", counters.written_footer);
        part("checkpoints", counters.written_checkpoint);
        part("cleaner", counters.written_cleaner);
        part("zeros ahead", counters.written_zeros);
        std::fflush(stdout);
        if (full_at != 0 && full_at < wanted) stop("a record was dropped within three days");
        if (least < wanted) stop("less than three days are held");
        if (!gateway.log->books(1).balanced()) stop("the books do not add up");
        read_back(gateway);
    }
    Gateway again(device);  // as after a power cut
    if (again.log->stream(1)->log_end != static_cast<Offset>(all)) stop("the log came back shorter");
    if (again.held() < wanted) stop("a start lost records");
    read_back(again);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("all that is held reads back, also after a start; %.0f s\n", took.count());
}
