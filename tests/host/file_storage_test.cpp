#include "sdk/host/file_storage.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/host/file_storage_rig.hpp"

using namespace leat;
using namespace leat::host;
using namespace leat::host::test;

namespace {
int syncs_interrupted = 0;  // so many of the next ones
std::atomic<int> data_syncs = 0;
}

// Before the C library's: a signal comes while the device works.
extern "C" int fsync(int fd) {
    if (syncs_interrupted > 0) {
        --syncs_interrupted;
        errno = EINTR;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
    ++data_syncs;
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace {

std::vector<std::uint8_t> file_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

ino_t inode(const std::string& path) {
    struct stat file {};
    REQUIRE(::stat(path.c_str(), &file) == 0);
    return file.st_ino;
}

}  // namespace

TEST_CASE("what was written is read back, by this process and by the next, in the same inode") {
    for (const bool direct : {true, false}) {
        CAPTURE(direct);
        Folder folder;
        Pages out(3, 0xAB), in(3);
        ino_t made = 0;
        {
            auto storage = open(folder.path, 4 * MiB, direct);
            CHECK(storage->is_new());
            CHECK(storage->geometry().size == 4 * MiB);
            CHECK((direct || !storage->is_direct()));
            made = inode(storage->path());
            REQUIRE(storage->start_write(7, 5 * page, out.all()));
            const auto done = wait_for(*storage);
            CHECK(done.ticket == 7);
            CHECK(done.status);
            const auto bytes = file_bytes(storage->path());
            CHECK(bytes.size() == 4 * MiB);
            CHECK(bytes[5 * page - 1] == 0);
            CHECK(bytes[5 * page] == 0xAB);
            CHECK(bytes[8 * page - 1] == 0xAB);
            CHECK(bytes[8 * page] == 0);
        }
        auto storage = open(folder.path, 8 * MiB, direct);
        CHECK_FALSE(storage->is_new());
        CHECK(storage->geometry().size == 8 * MiB);  // a larger budget makes it longer
        CHECK(inode(storage->path()) == made);
        REQUIRE(storage->start_read(8, 5 * page, in.all()));
        CHECK(wait_for(*storage).status);
        CHECK(equal(in.all(), out.all()));
    }
}

TEST_CASE("the eventfd is readable once something is done, and poll_done gives each ticket once") {
    Folder folder;
    auto storage = open(folder.path);
    Pages memory(1);
    for (std::uint64_t ticket = 1; ticket <= 20; ++ticket)
        REQUIRE((ticket % 2 ? storage->start_write(ticket, ticket * page, memory.all())
                            : storage->start_erase(ticket, ticket * page, page)));
    std::array<int, 21> seen{};
    for (int count = 0; count < 20;) {
        pollfd wake{storage->wake_fd(), POLLIN, 0};
        REQUIRE(::poll(&wake, 1, 10'000) == 1);
        storage->wake_clear();
        while (auto done = storage->poll_done()) {
            CHECK(done->status);
            ++seen.at(done->ticket);
            ++count;
        }
    }
    for (int ticket = 1; ticket <= 20; ++ticket) CHECK(seen[ticket] == 1);
    CHECK_FALSE(storage->poll_done());
    storage->wait_done();  // nothing under way: returns
}

TEST_CASE("what the device is asked to make durable is counted: once a write, never for zeros") {
    for (const bool direct : {true, false}) {
        CAPTURE(direct);
        Folder folder;
        auto storage = open(folder.path, 4 * MiB, direct);
        Pages memory(1);
        const int before = data_syncs;
        for (std::uint64_t ticket = 1; ticket <= 9; ++ticket) {
            REQUIRE((ticket % 3 ? storage->start_write(ticket, ticket * page, memory.all())
                                : storage->start_erase(ticket, ticket * page, page)));
            REQUIRE(wait_for(*storage).status);
        }
        CHECK(storage->counters().flushes == 6);
        CHECK(data_syncs - before == (storage->is_direct() ? 0 : 6));
    }
}

TEST_CASE(
    "bad arguments are refused: outside, unaligned, empty; at the bound of operations it says "
    "full") {
    Folder folder;
    auto storage = open(folder.path, 4 * MiB, true, 2);
    Pages memory(2);
    const auto bytes = memory.all();
    const auto refused = [](Status status) { return !status ? status.error() : Error::closed; };
    CHECK(refused(storage->start_write(1, 4 * MiB, bytes)) == Error::invalid);
    CHECK(refused(storage->start_write(1, 4 * MiB - page, bytes)) == Error::invalid);
    CHECK(refused(storage->start_write(1, ~std::uint64_t{0} - page + 1, bytes)) == Error::invalid);
    CHECK(refused(storage->start_write(1, 512, bytes)) == Error::invalid);
    CHECK(refused(storage->start_write(1, 0, bytes.first(100))) == Error::invalid);
    CHECK(refused(storage->start_read(1, 0, bytes.first(0))) == Error::invalid);
    CHECK(refused(storage->start_erase(1, page, 4 * MiB)) == Error::invalid);
    if (storage->is_direct())
        CHECK(refused(storage->start_write(1, 0, bytes.subspan(8, page))) == Error::invalid);
    Pages read(2);
    REQUIRE(storage->start_write(1, 0, bytes));
    REQUIRE(storage->start_read(2, 4 * page, read.all()));
    CHECK(refused(storage->start_read(3, 0, read.all())) == Error::full);
    // Who reads too much does not stop who writes; in the end that is full, too.
    std::uint64_t more = 0;
    while (storage->start_write(4 + more, page, bytes.first(page))) ++more;
    CHECK(more == 64);
    CHECK(refused(storage->start_erase(3, 0, page)) == Error::full);
    wait_for(*storage);
    CHECK(storage->start_erase(3, 0, page));
    for (std::uint64_t i = 0; i < 2 + more; ++i) wait_for(*storage);
}

TEST_CASE("erase leaves zeros in exactly its range, longer than one slice") {
    Folder folder;
    auto storage = open(folder.path);
    Pages ones(400, 0xFF);
    REQUIRE(storage->start_write(1, 0, ones.all()));
    CHECK(wait_for(*storage).status);
    REQUIRE(storage->start_erase(2, page, 300 * page));
    CHECK(wait_for(*storage).status);
    const auto bytes = file_bytes(storage->path());
    CHECK(bytes[page - 1] == 0xFF);
    CHECK(std::all_of(bytes.begin() + page, bytes.begin() + 301 * page,
                      [](auto byte) { return byte == 0; }));
    CHECK(bytes[301 * page] == 0xFF);
}

TEST_CASE("its end is given back: the file is shorter, and nothing begins behind it any more") {
    Folder folder;
    const auto refused = [](Status status) { return !status ? status.error() : Error::closed; };
    {
        auto storage = open(folder.path, 200 * MiB);
        Pages ones(4, 0xFF);
        REQUIRE(storage->start_write(1, 0, ones.all()));
        CHECK(wait_for(*storage).status);
        REQUIRE(storage->start_write(2, 150 * MiB, ones.all()));
        CHECK(wait_for(*storage).status);
        CHECK(refused(storage->start_shrink(3, 200 * MiB)) == Error::invalid);
        CHECK(refused(storage->start_shrink(3, 10 * MiB + 1)) == Error::invalid);
        REQUIRE(storage->start_shrink(3, 10 * MiB));  // more than one slice
        CHECK(storage->geometry().size == 10 * MiB);
        CHECK(refused(storage->start_write(4, 10 * MiB, ones.all())) == Error::invalid);
        const port::StorageDone done = wait_for(*storage);
        CHECK(done.ticket == 3);
        CHECK(done.status);
        CHECK(std::filesystem::file_size(storage->path()) == 10 * MiB);
        REQUIRE(storage->start_write(5, 0, ones.all()));
        CHECK(wait_for(*storage).status);
    }
    CHECK(open(folder.path, 4 * MiB)->geometry().size == 10 * MiB);  // whoever is in it decides
    const auto storage = open(folder.path, 160 * MiB);
    CHECK(storage->geometry().size == 160 * MiB);
    CHECK_FALSE(storage->is_new());
    Pages back(4);
    REQUIRE(storage->start_read(1, 0, back.all()));
    CHECK(wait_for(*storage).status);
    CHECK(back.all()[0] == 0xFF);
    REQUIRE(storage->start_read(2, 150 * MiB, back.all()));
    CHECK(wait_for(*storage).status);
    CHECK(back.all()[0] == 0);
}

namespace {

std::uint64_t by_mark(std::span<const std::uint8_t> first, std::span<const std::uint8_t>) {
    return std::memcmp(first.data(), "OURS", 4) == 0 ? 4 * MiB : 0;
}

}  // namespace

TEST_CASE("a file that is shorter than its owner made it is not made longer: its end is lost") {
    for (const std::uint64_t size : {2 * MiB, 4 * MiB}) {
        CAPTURE(size);
        Folder folder;
        const std::string path = folder.path + "/leat.log";
        std::filesystem::create_directory(folder.path);
        std::ofstream(path) << "OURS";
        std::filesystem::resize_file(path, size);
        FileStorageError why;
        const auto storage = FileStorage::open(
            {.folder = folder.path, .budget_bytes = 8 * MiB, .made_for = by_mark}, why);
        REQUIRE(storage);
        CHECK(storage->geometry().size == (size == 4 * MiB ? 8 * MiB : size));
    }
}

TEST_CASE("a file that does not bear the owner's mark is not made longer") {
    Folder folder;
    (void)open(folder.path, 4 * MiB);
    FileStorageError why;
    const auto storage = FileStorage::open(
        {.folder = folder.path, .budget_bytes = 8 * MiB, .made_for = by_mark}, why);
    REQUIRE(storage);
    CHECK(storage->geometry().size == 4 * MiB);
    CHECK(std::filesystem::file_size(storage->path()) == 4 * MiB);
}

TEST_CASE("a larger budget than the disk has leaves the file as it is, with a word about it") {
    Folder folder;
    (void)open(folder.path, 4 * MiB);
    const auto storage = open(folder.path, std::uint64_t{1} << 45);
    CHECK(storage->geometry().size == 4 * MiB);
    CHECK(std::filesystem::file_size(storage->path()) == 4 * MiB);
    bool told = false;
    while (const auto notice = storage->poll_notice())
        told = told || notice->text.find("stays at 4 MiB") != std::string::npos ||
               notice->text.find("stays at 4096 KiB") != std::string::npos;
    CHECK(told);
}

TEST_CASE("a copy with holes gets its space at the start, if it bears the owner's mark") {
    Folder folder;
    (void)open(folder.path);
    const std::string path = folder.path + "/leat.log";
    struct stat file {};
    for (const bool marked : {false, true}) {
        CAPTURE(marked);
        std::filesystem::resize_file(path, 0);
        std::ofstream(path) << (marked ? "OURS" : "diary");
        std::filesystem::resize_file(path, 4 * MiB);
        FileStorageError why;
        const auto storage = FileStorage::open(
            {.folder = folder.path, .budget_bytes = 4 * MiB, .made_for = by_mark}, why);
        REQUIRE(storage);
        REQUIRE(::stat(path.c_str(), &file) == 0);
        CHECK((static_cast<std::uint64_t>(file.st_blocks) * 512 >= 4 * MiB) == marked);
        CHECK(file.st_size == 4 * MiB);
    }
}

TEST_CASE(
    "nothing is written into a file whose name or end somebody took away, and a word says so") {
    Pages out(2, 0xAB);
    for (const bool direct : {true, false})
        for (const bool deleted : {true, false}) {
            CAPTURE(direct);
            CAPTURE(deleted);
            Folder folder;
            const auto storage = open(folder.path, 4 * MiB, direct);
            while (storage->poll_notice()) {
            }
            REQUIRE(storage->start_write(1, 0, out.all()));
            CHECK(wait_for(*storage).status);
            if (deleted)
                std::filesystem::remove(storage->path());
            else
                std::filesystem::resize_file(storage->path(), 2 * page);  // what is written stays
            REQUIRE(storage->start_write(2, 0, out.all()));
            CHECK_FALSE(wait_for(*storage).status);
            const auto notice = storage->poll_notice();
            REQUIRE(notice);
            INFO(notice->text);
            CHECK(notice->text.find(deleted ? "deleted or replaced" : "shortened") !=
                  std::string::npos);
            REQUIRE(storage->start_erase(3, 2 * MiB, MiB));
            CHECK_FALSE(wait_for(*storage).status);
            REQUIRE(storage->start_shrink(4, 2 * MiB));
            CHECK_FALSE(wait_for(*storage).status);
            if (!deleted) CHECK(std::filesystem::file_size(storage->path()) == 2 * page);
        }
}

TEST_CASE("a second owner of the folder is told who has it; the lock goes with the first") {
    Folder folder;
    {
        auto storage = open(folder.path);
        FileStorageError why;
        CHECK_FALSE(FileStorage::open({.folder = folder.path, .budget_bytes = 4 * MiB}, why));
        CHECK(why.error == Error::busy);
        CHECK(why.text.find("pid " + std::to_string(::getpid())) != std::string::npos);
        CHECK(why.text.find("--data") != std::string::npos);
    }
    CHECK_FALSE(open(folder.path)->is_new());
}

TEST_CASE(
    "a second owner of the log is refused where the folder's lock does not tell of the first") {
    Folder folder, other;
    FileStorageError why;
    {
        auto storage = open(folder.path);
        std::filesystem::remove(folder.path + "/leat.lock");  // somebody tidied up
        CHECK_FALSE(FileStorage::open({.folder = folder.path}, why));
        CHECK(why.error == Error::busy);
        CHECK(why.text.find("leat.log is in use") != std::string::npos);
        std::filesystem::create_symlink("../" + folder.path + "/leat.log",
                                        other.path + "/leat.log");
        CHECK_FALSE(FileStorage::open({.folder = other.path}, why));
        CHECK(why.error == Error::busy);
    }
    CHECK_FALSE(open(other.path)->is_new());
}

TEST_CASE("a start cut before the rename leaves nothing that counts") {
    Folder folder;
    std::ofstream(folder.path + "/leat.log.new") << "half a file";
    auto storage = open(folder.path);
    CHECK(storage->is_new());
    CHECK(storage->geometry().size == 4 * MiB);
    CHECK_FALSE(std::filesystem::exists(folder.path + "/leat.log.new"));
}

TEST_CASE("folders that cannot work are refused with what to do, and nothing is left behind") {
    Folder folder;
    FileStorageError why;
    CHECK_FALSE(FileStorage::open({.folder = folder.path + "/no/parent"}, why));
    CHECK(why.error == Error::storage);
    CHECK_FALSE(FileStorage::open({.folder = folder.path, .budget_bytes = 64 * KiB}, why));
    CHECK(why.error == Error::invalid);
    CHECK_FALSE(
        FileStorage::open({.folder = folder.path, .budget_bytes = std::uint64_t{1} << 60}, why));
    CHECK(why.error == Error::full);
    CHECK(why.text.find("--budget") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder.path + "/leat.log"));
    std::ofstream(folder.path + "/leat.log") << "somebody's notes";
    CHECK_FALSE(FileStorage::open({.folder = folder.path, .budget_bytes = 4 * MiB}, why));
    CHECK(why.error == Error::invalid);
    CHECK(file_bytes(folder.path + "/leat.log").size() == 16);
}

TEST_CASE("without a budget a new log takes at most 1 GiB and a tenth of the free space") {
    Folder folder;
    FileStorageError why;
    auto storage = FileStorage::open({.folder = folder.path}, why);
    if (!storage) {
        CHECK(why.error == Error::full);  // a nearly full disk
        return;
    }
    const auto space = std::filesystem::space(folder.path);
    CHECK(storage->geometry().size <= std::uint64_t{1} << 30);
    CHECK(storage->geometry().size <= (space.available + storage->geometry().size) / 9);
}

TEST_CASE("destroying it finishes what was submitted") {
    Folder folder;
    Pages memory(64, 0x5A);
    {
        auto storage = open(folder.path);
        for (std::uint64_t i = 0; i < 8; ++i)
            REQUIRE(storage->start_write(i, i * 64 * page, memory.all()));
    }
    const auto bytes = file_bytes(folder.path + "/leat.log");
    CHECK(std::all_of(bytes.begin(), bytes.begin() + 8 * 64 * page,
                      [](auto byte) { return byte == 0x5A; }));
}

TEST_CASE("stopping it gives all memory back and takes nothing more; what was done is told still") {
    Folder folder;
    Pages memory(64, 0x5A), into(64, 0);
    auto storage = open(folder.path);
    REQUIRE(storage->start_write(1, 0, memory.all()));
    storage->wait_done();
    for (std::uint64_t i = 2; i < 10; ++i) REQUIRE(storage->start_read(i, 0, into.all()));
    storage->stop();
    const auto bytes = into.all();
    CHECK(std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0x5A; }));
    std::size_t done = 0;
    while (storage->poll_done()) ++done;
    CHECK(done == 9);
    const auto refused = storage->start_read(10, 0, into.all());
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error::closed);
    storage->stop();  // again is nothing
}

TEST_CASE("a first start is not refused for a signal that comes while it syncs") {
    Folder folder;
    syncs_interrupted = 2;
    CHECK(open(folder.path)->is_new());
    CHECK(syncs_interrupted == 0);
}

TEST_CASE("out of descriptors it says so, and blames no owner of the folder") {
    Folder folder;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    ::close(next);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    FileStorageError why;
    const auto storage = FileStorage::open({.folder = folder.path, .budget_bytes = 4 * MiB}, why);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_FALSE(storage);
    CHECK(why.text.find("Too many open files; raise the limit") != std::string::npos);
    CHECK(why.text.find("who owns") == std::string::npos);
}

TEST_CASE("file storage: its threads ask for the shortest turns, and for nothing else") {
    // The kernel's sched_attr; its first layout is what older kernels fill in, too.
    struct {
        std::uint32_t size, policy;
        std::uint64_t flags;
        std::int32_t nice;
        std::uint32_t priority;
        std::uint64_t runtime_ns, deadline_ns, period_ns;
    } of{};
    const auto look_at = [&of](long thread) {
        return ::syscall(SYS_sched_getattr, thread, &of, sizeof of, 0) == 0;
    };
    REQUIRE(look_at(0));
    if (of.runtime_ns == 0) {
        MESSAGE("n/a: this kernel (before 6.12) has no turns of a thread's own");
        return;
    }
    const auto mine = of;
    CHECK(mine.runtime_ns > 100'000);
    const Folder folder;
    const auto storage = open(folder.path);
    int short_turns = 0;
    // The threads may not run yet.
    for (int tries = 0; short_turns < 2 && tries < 1000; ++tries, ::usleep(1000)) {
        short_turns = 0;
        for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
            if (!look_at(std::stol(thread.path().filename().string()))) continue;
            CHECK(of.nice == mine.nice);
            CHECK(of.policy == mine.policy);
            short_turns += of.runtime_ns == 100'000;
        }
    }
    CHECK(short_turns == 2);
}
