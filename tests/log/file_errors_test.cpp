// The failure path of DESIGN.md section 3 down to the system calls: a log in a file whose n-th
// pwrite or fdatasync fails, for every n that there is.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>

#include "broker/log/testing.hpp"
#include "tests/host/file_storage_rig.hpp"
#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t never = UINT64_MAX;
constexpr long sector = 512;

/// What lies under the file system: one call of it fails, or some in a row, and its cache forgets.
struct Disk {
    struct Fault {
        std::uint64_t from = never, count = 0;
        bool takes(std::uint64_t number) const { return number >= from && number - from < count; }
    };
    using Sectors = std::map<off_t, std::array<std::uint8_t, sector>>;
    std::mutex mutex;  // the storage's threads and the test's
    bool watched = false;
    Fault write, sync;
    std::uint64_t writes = 0, syncs = 0, failed = 0;
    int fd = -1;
    /// What the disk holds where the kernel has something else: written since the last sync, and in
    /// front of one that failed. The kernel takes the latter for clean, so no other sync writes it.
    Sectors unsynced, lost;

    void see(int to, std::size_t count, off_t at) {
        fd = to;
        for (const off_t end = at + static_cast<off_t>(count); at < end; at += sector) {
            const auto [old, is_new] = unsynced.try_emplace(at);
            if (!is_new) continue;
            if (const auto before = lost.find(at); before != lost.end())
                old->second = before->second;
            else if (::syscall(SYS_pread64, fd, old->second.data(), sector, at) != sector)
                std::abort();
        }
    }
    void synced() {
        for (const auto& [at, old] : unsynced) lost.erase(at);
        unsynced.clear();
    }
    void not_synced() {
        lost.merge(unsynced);
        unsynced.clear();
    }
    /// The power goes.
    void cut() {
        not_synced();
        for (const auto& [at, old] : lost)
            if (::syscall(SYS_pwrite64, fd, old.data(), sector, at) != sector) std::abort();
        lost.clear();
        watched = false;
    }
} disk;

}  // namespace

// Before the C library's.
extern "C" ssize_t pwrite(int fd, const void* bytes, std::size_t count, off_t at) {
    std::lock_guard lock(disk.mutex);
    const bool fails = disk.watched && disk.write.takes(disk.writes++);
    if (disk.watched) disk.see(fd, count, at);
    if (!fails) return ::syscall(SYS_pwrite64, fd, bytes, count, at);
    ++disk.failed;
    ::syscall(SYS_pwrite64, fd, bytes, count / 2 / sector * sector, at);  // torn
    errno = EIO;
    return -1;
}
extern "C" int fdatasync(int fd) {
    std::lock_guard lock(disk.mutex);
    if (!disk.watched) return static_cast<int>(::syscall(SYS_fdatasync, fd));
    if (!disk.sync.takes(disk.syncs++)) {
        disk.synced();
        return 0;
    }
    ++disk.failed;
    disk.not_synced();
    errno = EIO;
    return -1;
}

namespace {

/// Waits for the file's threads, so that a log on it goes on like one on a simulated device.
class Waiting final : public leat::test::StorageOver {
public:
    explicit Waiting(host::FileStorage& file) : StorageOver(file) {}
    std::optional<port::StorageDone> poll_done() override {
        below_.wait_done();
        return below_.poll_done();
    }
};

/// One run of a log in `folder`, up to a power cut.
struct FileRun {
    std::unique_ptr<host::FileStorage> file;
    Waiting waiting;
    SimStorage none{{.seed = 1, .size = small_device}};  // Rig wants one
    Rig rig{none};

    explicit FileRun(const std::string& folder)
        : file(host::test::open(folder, small_device, false)), waiting(*file) {
        rig.log = make_faulty_log(waiting, rig.entropy, small_config(), {});
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
    }
    ~FileRun() {
        rig.log.reset();
        file->stop();  // the kernel has all of it, and the power goes before it writes it
        std::lock_guard lock(disk.mutex);
        disk.cut();
    }
    bool append_durably(const BatchSpec& spec) {
        const auto appended = rig.append(1, spec);
        if (!appended) return false;
        for (int i = 0; i < 10; ++i) rig.settle();
        return rig.log->flushed_commit() >= appended->commit;
    }
};

BatchSpec batch_of(std::uint64_t number) { return {.size = 2'500 + number * 10, .salt = number}; }

/// The batches with the numbers [0, count), each at the offset of its number, and no other.
bool holds(Rig& rig, std::uint64_t count) {
    const auto all = rig.read_all(1, 0);
    if (all.error || rig.log->stream(1)->log_end != static_cast<Offset>(count)) return false;
    ByteView left = all.bytes;
    for (std::uint64_t i = 0; i < count; ++i) {
        auto expected = make_batch(batch_of(i));
        store_big(expected.data(), static_cast<std::int64_t>(i));
        const ByteView batch = next_batch(left);
        // Not the leader's epoch, which the log gives.
        if (batch.size() != expected.size() || !equal(batch.first(12), ByteView(expected).first(12)) ||
            !equal(batch.subspan(16), ByteView(expected).subspan(16)))
            return false;
    }
    return left.empty();
}

enum class Call { write, sync };

/// Appends 40 batches while `count` calls from the n-th on fail. returns  false: there were not so
/// many calls
bool run_with(Call call, std::uint64_t n, std::uint64_t count) {
    constexpr std::uint64_t batches = 40, more = 5;
    const host::test::Folder folder;
    std::uint64_t taken = 0;
    bool reached = false;
    {
        FileRun run(folder.path);
        {
            std::lock_guard lock(disk.mutex);
            disk.writes = disk.syncs = disk.failed = 0;
            disk.write = disk.sync = {};
            (call == Call::write ? disk.write : disk.sync) = {n, count};
            disk.watched = true;
        }
        int refused = 0;
        while (taken < batches) {
            if (run.append_durably(batch_of(taken))) {
                ++taken;
                continue;
            }
            REQUIRE(++refused <= 3);
            CHECK(run.rig.log->status().read_only);
            CHECK(run.rig.log->poll_rolled_back());
            CHECK(holds(run.rig, taken));  // who was acknowledged is served meanwhile
            for (int i = 0; i < 5; ++i) run.rig.pass(2'000);
            CHECK_FALSE(run.rig.log->status().read_only);
        }
        // One that fails is nobody's business: the group goes to another segment.
        if (count == 1) CHECK(refused == 0);
        CHECK(holds(run.rig, taken));
        std::lock_guard lock(disk.mutex);
        reached = disk.failed == count;
        if (call == Call::sync) CHECK(run.rig.log->counters().write_errors == disk.failed);
    }
    FileRun again(folder.path);
    CHECK(holds(again.rig, taken));
    for (const std::uint64_t end = taken + more; taken < end; ++taken)
        CHECK(again.append_durably(batch_of(taken)));
    CHECK(holds(again.rig, taken));
    return reached;
}

void each_call_fails(Call call, std::uint64_t count) {
    std::uint64_t n = 0;
    for (;; ++n) {
        INFO("n=" << n);
        if (!run_with(call, n, count)) break;
    }
    CHECK(n > 40);  // one for each batch at least
}

}  // namespace

TEST_CASE("file errors: any one write that fails loses nothing, and the log goes on") {
    each_call_fails(Call::write, 1);
}

TEST_CASE("file errors: any one sync that fails is not believed when the next one is well") {
    each_call_fails(Call::sync, 1);
}

TEST_CASE("file errors: any two writes in a row that fail cost who waits an error, and no more") {
    each_call_fails(Call::write, 2);
}

TEST_CASE("file errors: any two syncs in a row that fail cost who waits an error, and no more") {
    each_call_fails(Call::sync, 2);
}
