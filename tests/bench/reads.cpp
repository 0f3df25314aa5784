// What the log gives a reader of a large backlog, in process, on a file of a real device:
// `reads_bench FOLDER [MiB]`. Prints ratios, of which only those of one run are worth comparing.
//
//   device       preads of 1 MiB over the log's file, one after the other, without the log
//   in order     one stream from end to end: what an uplink or a consumer with a backlog reads
//   one of many  the batches of many streams lie among each other, and one of them is drained
//   a fetch      of 100 streams, all that they have, out of 10,000 with three batches each
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "sdk/host/file_storage.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t answer_bytes = 1 * MiB;
constexpr int rounds = 9;

[[noreturn]] void stop(const char* what) {
    std::fprintf(stderr, "reads_bench: %s\n", what);
    std::exit(1);
}

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

Instant now() {
    return Instant(
        std::chrono::duration_cast<milliseconds>(Clock::now().time_since_epoch()));
}

/// The best: whatever else the machine does only takes.
double best(const std::vector<double>& figures) {
    return *std::max_element(figures.begin(), figures.end());
}

/// A log of its own in `folder`, filled with `bytes` of batches of `batch_bytes`, in turns for each
/// of `streams`.
struct Backlog {
    std::string folder;
    std::unique_ptr<host::FileStorage> storage;
    log::test::SimEntropy entropy{7};
    std::unique_ptr<Log> log;
    std::uint64_t each = 0;  ///< bytes of one stream
    double amplified = 0;    ///< read of the device by the last drain, for each byte of it

    Backlog(std::string in, std::uint64_t bytes, StreamId streams, std::size_t batch_bytes)
        : folder(std::move(in)) {
        std::filesystem::remove_all(folder);
        host::FileStorageError why;
        storage = host::FileStorage::open(
            {.folder = folder, .budget_bytes = bytes * 5 / 4 + 64 * MiB}, why);
        if (!storage) stop(why.text.c_str());
        LogConfig config;
        config.commit_interval = milliseconds(0);
        config.segment_bytes = 4 * MiB;
        log = make_log(*storage, entropy, config);
        if (!log->open(now(), wall_ms(1'800'000'000'000))) stop(log->open_error_text().c_str());
        for (StreamId id = 1; id <= streams; ++id) (void)log->declare_stream(id, {});
        const auto batch =
            log::test::make_batch({.count = batch_bytes < KiB ? 1u : 10u,
                                   .size = batch_bytes - batch_header_bytes});
        for (std::uint64_t i = 0; i < bytes / batch_bytes; ++i) {
            const AppendRequest request{.stream = static_cast<StreamId>(1 + i % streams),
                                        .batch = batch,
                                        .log_append_time = {}};
            for (;;) {
                const auto appended = log->append(now(), wall_ms(1'800'000'000'000), request);
                if (appended) break;
                if (appended.error() != Error::would_block) stop("an append is refused");
                turn();
            }
            if (i % streams == 0) each += batch_bytes;
        }
        while (log->flushed_commit() + 1 < log->open_commit()) turn();
    }
    ~Backlog() {
        log->close(now(), wall_ms(1'800'000'000'000));
        while (!log->closed()) turn();
        storage->stop();
        log.reset();
        std::filesystem::remove_all(folder);
    }
    void turn() {
        storage->wait_done();
        log->on_storage(now());
        if (log->deadline() <= now()) log->on_deadline(now(), wall_ms(1'800'000'000'000));
    }
    /// Bytes per second of one stream, from its start.
    double drain(StreamId stream = 1) {
        std::vector<std::uint8_t> into(answer_bytes);
        std::uint64_t bytes = 0;
        const std::uint64_t before = log->counters().read;
        const auto begin = Clock::now();
        const StreamState state = *log->stream(stream);
        for (Offset at = state.log_start; at < state.flushed;) {
            const ReadRequest request{.stream = stream, .from = at, .until = state.flushed};
            const auto ticket = log->start_read(now(), request, into);
            if (!ticket) stop("a read is refused");
            std::optional<ReadDone> done;
            while (!(done = log->poll_read())) {
                storage->wait_done();
                log->on_storage(now());
            }
            if (!done->bytes || *done->bytes == 0) stop("a record cannot be read");
            bytes += *done->bytes;
            at = done->next;
        }
        amplified = static_cast<double>(log->counters().read - before) / static_cast<double>(bytes);
        if (bytes != each) stop("what is read is not what was written");
        return static_cast<double>(bytes) / seconds_since(begin);
    }
    /// One stream after the other, from `first` on every `step`th. returns  seconds
    double fetch(std::size_t streams, StreamId first, StreamId step) {
        std::vector<StreamId> ids;
        for (StreamId id = first; ids.size() < streams; id += step) ids.push_back(id);
        const std::uint64_t before = log->counters().read;
        const auto begin = Clock::now();
        for (const StreamId id : ids) (void)drain(id);
        amplified = static_cast<double>(log->counters().read - before) /
                    static_cast<double>(each * streams);
        return seconds_since(begin);
    }
    double device_alone() const {
        const int file = ::open(storage->path().c_str(),
                                O_RDONLY | O_CLOEXEC | (storage->is_direct() ? O_DIRECT : 0));
        AlignedBytes memory(4096);
        memory.reserve(answer_bytes, 0);
        const auto begin = Clock::now();
        std::uint64_t at = 32 * KiB;
        for (; at + answer_bytes <= each; at += answer_bytes)
            if (::pread(file, memory.data(), answer_bytes, static_cast<off_t>(at)) !=
                static_cast<ssize_t>(answer_bytes))
                stop("the file cannot be read");
        ::close(file);
        return static_cast<double>(at) / seconds_since(begin);
    }
};

template <class Measure>
double in_rounds(Measure measure) {
    std::vector<double> figures;
    for (int i = 0; i < rounds; ++i) figures.push_back(measure());
    return best(figures);
}

}  // namespace

int main(int count, char** words) {
    if (count != 2 && count != 3) stop("usage: reads_bench FOLDER [MiB]");
    const std::uint64_t bytes = (count == 3 ? std::strtoull(words[2], nullptr, 10) : 256) * MiB;
    if (bytes < 16 * MiB) stop("16 MiB at least");
    const std::string folder = std::string(words[1]) + "/log";
    std::printf("%-44s %9s %12s %10s %14s\n", "", "MB/s", "of device", "read for",
                "of in order");
    for (const std::size_t batch :
         {std::size_t{200}, 1 * KiB, 4 * KiB, 16 * KiB, 64 * KiB, 1000 * KiB}) {
        double device = 0, in_order = 0, amplified = 0;
        const auto show = [&](const char* what, StreamId streams, double rate) {
            char name[64];
            std::snprintf(name, sizeof name, "%s %u, batches of %zu B", what, streams, batch);
            std::printf("%-44s %9.0f %12.2f %10.2f", name, rate / 1e6, rate / device, amplified);
            if (streams > 1) std::printf(" %14.2f", rate / in_order);
            std::printf("\n");
            std::fflush(stdout);
        };
        {
            Backlog backlog(folder, bytes, 1, batch);
            (void)backlog.drain();
            device = in_rounds([&] { return backlog.device_alone(); });
            in_order = in_rounds([&] { return backlog.drain(); });
            amplified = backlog.amplified;
            show("in order, stream 1 of", 1, in_order);
        }
        for (const StreamId streams : {8u, 64u}) {
            if (std::uint64_t{batch} * streams * 4 > bytes) continue;
            Backlog backlog(folder, bytes, streams, batch);
            (void)backlog.drain();
            const double rate = in_rounds([&] { return backlog.drain(); });
            amplified = backlog.amplified;
            show("drained, one of", streams, rate);
        }
    }
    Backlog many(folder, 10'000 * 3 * 200, 10'000, 200);
    for (const StreamId step : {1u, 97u}) {
        double least = 1e9;
        // Others each time: nothing is known of them.
        for (StreamId i = 0; i < 3; ++i)
            least = std::min(least, many.fetch(100, 31 + step + 100 * i, step));
        std::printf("a fetch of 100 of 10,000 streams, every %-7u %6.0f ms  read for %.0f\n", step,
                    1000 * least, many.amplified);
    }
}
