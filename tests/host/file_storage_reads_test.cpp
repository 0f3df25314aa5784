// Reads that wait and lie side by side, and a sector among them that the device does not give.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "tests/host/file_storage_rig.hpp"

using namespace leat;
using namespace leat::host;
using namespace leat::host::test;

namespace {
/// A sector that the device does not give; who reads over it gets what is in front of it, or none.
struct {
    off_t at = -1;
    bool gives_front = false;
    int asked = 0;     ///< reads that it was in
    bool late = false;  ///< a read behind it had its turn before anybody was told of it
} bad_sector;
std::atomic<bool> told = true;
std::atomic<bool> held = false;  // a lone read waits, so that others come to lie beside each other
std::atomic<int> together = 0;   // requests for more than one read

ssize_t hit(off_t at, ssize_t count) {
    if (count <= 0 || bad_sector.at < at || bad_sector.at >= at + count) return count;
    ++bad_sector.asked;
    if (bad_sector.gives_front && bad_sector.at > at) return bad_sector.at - at;
    errno = EIO;
    return -1;
}
}  // namespace

// Before the C library's.
extern "C" ssize_t pread(int fd, void* into, std::size_t count, off_t at) {
    while (held) ::poll(nullptr, 0, 1);
    for (int ms = 0; at > bad_sector.at && !told && !bad_sector.late; ++ms)
        bad_sector.late = ms > 5'000 || ::poll(nullptr, 0, 1) < 0;
    return hit(at, ::syscall(SYS_pread64, fd, into, count, at));
}
extern "C" ssize_t preadv(int fd, const iovec* into, int parts, off_t at) {
    ++together;
    return hit(at, ::syscall(SYS_preadv, fd, into, parts, at, 0));
}

TEST_CASE("reads side by side bring each its own bytes; where one fails the others do not") {
    Folder folder;
    auto storage = open(folder.path);
    constexpr std::uint64_t count = 64;
    Pages written(count);
    for (std::size_t i = 0; i < written.size; ++i)
        written.all()[i] = static_cast<std::uint8_t>(i / page * 7 + i);
    REQUIRE(storage->start_write(1, 0, written.all()));
    CHECK(wait_for(*storage).status);
    const auto read_all = [&](std::uint64_t good) {
        Pages read(count);
        together = 0;
        held = true;
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(storage->start_read(i, i * page, read.all().subspan(i * page, page)));
        held = false;
        std::array<int, count> seen{};
        for (std::uint64_t i = 0; i < count; ++i) {
            storage->wait_done();
            const auto done = storage->poll_done();
            REQUIRE(done);
            ++seen.at(done->ticket);
            CHECK(static_cast<bool>(done->status) == (done->ticket < good));
        }
        CHECK(together > 0);
        CHECK(std::count(seen.begin(), seen.end(), 1) == count);
        CHECK(equal(ByteView(read.all()).first(good * page),
                    ByteView(written.all()).first(good * page)));
    };
    const std::uint64_t before = storage->counters().reads;
    read_all(count);
    CHECK(storage->counters().reads == before + count);
    CHECK(storage->counters().read_bytes >= count * page);
    Pages some(count);  // every third one; what lies between them goes nowhere
    together = 0;
    held = true;
    for (std::uint64_t i = 0; i < count; i += 3)
        REQUIRE(storage->start_read(i, i * page, some.all().subspan(i * page, page)));
    held = false;
    for (std::uint64_t i = 0; i < count; i += 3) CHECK(wait_for(*storage).status);
    CHECK(together > 0);
    for (std::size_t i = 0; i < some.size; ++i)
        if (some.all()[i] != (i / page % 3 == 0 ? written.all()[i] : 0)) FAIL(i);
    std::filesystem::resize_file(storage->path(), 37 * page);
    read_all(37);
    CHECK(storage->counters().errors == count - 37);
}

TEST_CASE("a sector that is not given costs the read that wants it, and none beside it") {
    Folder folder;
    auto storage = open(folder.path);
    constexpr std::uint64_t count = 32, bad = 11;
    Pages written(count);
    for (std::size_t i = 0; i < written.size; ++i)
        written.all()[i] = static_cast<std::uint8_t>(i / page * 7 + i);
    REQUIRE(storage->start_write(1, 0, written.all()));
    CHECK(wait_for(*storage).status);
    for (const bool gives_front : {false, true}) {
        for (const bool between : {false, true}) {  // two reads, and wanted by none
            CAPTURE(gives_front);
            CAPTURE(between);
            bad_sector = {.at = bad * page + 512, .gives_front = gives_front};
            told = between;
            const std::uint64_t errors = storage->counters().errors;
            Pages read(count);
            for (std::uint64_t i = 0; i < count; ++i) {
                if (between && i == bad) continue;
                REQUIRE(storage->start_read(i, i * page, read.all().subspan(i * page, page)));
            }
            for (std::uint64_t i = 0; i < count - (between ? 1 : 0); ++i) {
                const auto done = wait_for(*storage);
                CHECK(static_cast<bool>(done.status) == (done.ticket != bad));
                told = told || !done.status;
                if (!done.status) continue;
                const std::size_t from = static_cast<std::size_t>(done.ticket) * page;
                CHECK(equal(ByteView(read.all()).subspan(from, page),
                            ByteView(written.all()).subspan(from, page)));
            }
            CHECK(storage->counters().errors == errors + (between ? 0 : 1));
            CHECK(bad_sector.asked <= (gives_front ? 3 : 2));
            CHECK_FALSE(bad_sector.late);
        }
    }
    bad_sector = {};
}
