#include "sdk/host/file_storage.hpp"

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sdk/host/turns.hpp"

namespace leat::host {
namespace {

constexpr std::size_t erase_slice = 256 * 1024;  // the longest a write waits behind an erase
constexpr std::uint64_t cut_slice = 64ull * 1024 * 1024;  // ... or behind the end of the file
// The shortest there is. They do little but wait for the device, and the loop's thread, which has
// much to do beside bad neighbours, waits for them: on a core that both have, each commit waited
// twice for a turn of it to end.
constexpr std::chrono::microseconds turn{100};
constexpr std::size_t together_max = 32;  // reads; the first of them waits for the last
// What lies between two of them is read and forgotten: another request would take longer.
constexpr std::size_t gap_max = 16 * 1024;
constexpr std::size_t room_of_writes = 64;  // beyond operations_max
constexpr std::size_t notices_max = 16;  // a dying device fails often; the first ones say it

}  // namespace

FileStorage::~FileStorage() {
    stop();
    for (const int fd : {fds_.write, fds_.read, fds_.erase, fds_.lock, wake_fd_})
        if (fd >= 0) ::close(fd);
}

void FileStorage::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    write_wanted_.notify_all();
    read_wanted_.notify_all();
    if (writer_.joinable()) writer_.join();
    if (reader_.joinable()) reader_.join();
}

// ----------------------------------------------------------------------------------------------
// submit: threads are woken without the lock, or they would wake only to wait for it

bool FileStorage::fits(std::uint64_t at, std::uint64_t size, const void* memory) const {
    return size > 0 && at % geometry_.write_size == 0 && size % geometry_.write_size == 0 &&
           at <= geometry_.size && size <= geometry_.size - at &&
           reinterpret_cast<std::uintptr_t>(memory) % geometry_.align == 0;
}

Status FileStorage::start_write(std::uint64_t ticket, std::uint64_t at,
                                std::span<const std::uint8_t> bytes) {
    if (!fits(at, bytes.size(), bytes.data())) return fail(Error::invalid);
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return fail(Error::closed);
        if (under_way_ >= operations_max_ + room_of_writes) return fail(Error::full);
        ++under_way_;
        writes_.push_back({ticket, at, bytes});
    }
    write_wanted_.notify_one();
    return ok();
}

Status FileStorage::start_read(std::uint64_t ticket, std::uint64_t at,
                               std::span<std::uint8_t> into) {
    if (!fits(at, into.size(), into.data())) return fail(Error::invalid);
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return fail(Error::closed);
        if (under_way_ >= operations_max_) return fail(Error::full);
        ++under_way_;
        reads_.push_back({ticket, at, into});
        if (reads_.size() > 1) return ok();  // it was told of the first, and has not come to it yet
    }
    read_wanted_.notify_one();
    return ok();
}

Status FileStorage::start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) {
    if (!fits(at, size, nullptr)) return fail(Error::invalid);
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return fail(Error::closed);
        if (under_way_ >= operations_max_ + room_of_writes) return fail(Error::full);
        ++under_way_;
        erases_.push_back({ticket, at, size});
    }
    write_wanted_.notify_one();
    return ok();
}

Status FileStorage::start_shrink(std::uint64_t ticket, std::uint64_t size) {
    if (size >= geometry_.size || !fits(size, geometry_.size - size, nullptr))
        return fail(Error::invalid);
    std::lock_guard lock(mutex_);
    if (stopping_) return fail(Error::closed);
    if (under_way_ >= operations_max_ + room_of_writes) return fail(Error::full);
    ++under_way_;
    erases_.push_back({ticket, size, geometry_.size - size, true});
    geometry_.size = size;  // only this thread looks at it: nothing more begins behind it
    write_wanted_.notify_one();
    return ok();
}

// ---------------------------------------------------------------------------------------------
// collect

std::optional<port::StorageDone> FileStorage::poll_done() {
    std::lock_guard lock(mutex_);
    if (done_.empty()) return std::nullopt;
    const port::StorageDone done = done_.front();
    done_.pop_front();
    --under_way_;
    return done;
}

void FileStorage::wait_done() {
    std::unique_lock lock(mutex_);
    done_arrived_.wait(lock, [this] { return !done_.empty() || under_way_ == 0; });
}

void FileStorage::wake_clear() {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t ignored =
        ::read(wake_fd_, &count, sizeof count);  // EAGAIN: nothing to clear
}

FileStorageCounters FileStorage::counters() const {
    std::lock_guard lock(mutex_);
    return counters_;
}

std::optional<Notice> FileStorage::poll_notice() {
    std::lock_guard lock(mutex_);
    if (notices_.empty()) return std::nullopt;
    Notice notice = std::move(notices_.front());
    notices_.pop_front();
    return notice;
}

void FileStorage::finish(std::span<const port::StorageDone> all) {
    bool first;
    {
        std::lock_guard lock(mutex_);
        first = done_.empty();
        done_.insert(done_.end(), all.begin(), all.end());
        done_arrived_.notify_one();
    }
    // Later ones ride on the first: the loop drains until poll_done is empty after it cleared the
    // eventfd.
    if (!first) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_fd_, &one, sizeof one);
}

// ------------------------------------------------------------------------------------------ the
// threads

// Writes first, but an erase gets a slice after each of them: under a steady load neither starves.
void FileStorage::write_loop() {
    take_turns_of(turn);
    std::unique_lock lock(mutex_);
    for (;;) {
        write_wanted_.wait(lock,
                           [this] { return stopping_ || !writes_.empty() || !erases_.empty(); });
        if (writes_.empty() && erases_.empty()) return;
        if (!writes_.empty()) {
            const Write write = writes_.front();
            writes_.pop_front();
            lock.unlock();
            finish(write.ticket, run_write(write));
            lock.lock();
        }
        if (!erases_.empty()) {
            Erase erase = erases_.front();
            lock.unlock();
            const Status status = run_erase(erase);
            const bool over = !status || erase.left == 0;
            if (over) finish(erase.ticket, status);
            lock.lock();
            if (over)
                erases_.pop_front();
            else
                erases_.front() = erase;
        }
    }
}

void FileStorage::read_loop() {
    take_turns_of(turn);
    std::unique_lock lock(mutex_);
    for (;;) {
        read_wanted_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
        if (reads_.empty()) return;
        std::array<Read, together_max> together{};
        std::size_t count = 0;
        do {
            together[count++] = reads_.front();
            reads_.pop_front();
        } while (count < together_max && !reads_.empty() &&
                 reads_.front().at - end_of(together[count - 1]) <= gap_max);
        lock.unlock();
        const std::span<const Read> reads(together.data(), count);
        const std::size_t came = count > 1 ? run_together(reads) : 0;
        std::array<port::StorageDone, together_max> done;
        for (std::size_t i = 0; i < came; ++i) done[i] = {reads[i].ticket, ok()};
        if (came > 0) finish({done.data(), came});
        // The others alone, so that a bad block costs those that want it, and each is told of at
        // once: a device may take a second for each that it refuses.
        for (const Read& read : reads.subspan(came)) finish(read.ticket, run_read(read));
        lock.lock();
    }
}

// Into a file without a name everything would go well, and be gone when this process ends. A write
// behind an end that somebody cut off would grow it again, over holes where records were.
Status FileStorage::still_ours(const char* what, std::uint64_t at, std::uint64_t size) {
    struct stat file {};
    if (::fstat(fds_.write, &file) != 0) return failed(what, at, errno);
    if (has_name_ && file.st_nlink == 0)
        return failed(what, at,
                      "it was deleted or replaced; until leatd stops it is there as /proc/" +
                          std::to_string(::getpid()) + "/fd/" + std::to_string(fds_.read) +
                          ": copy that back to this name, then start again");
    // Also in front of the new end: what lay behind it was promised.
    if (static_cast<std::uint64_t>(file.st_size) < std::max(length_, at + size))
        return failed(what, at,
                      "it was shortened from outside, and nothing is written any more: stop leatd "
                      "and put back what was cut off, or its backup");
    return ok();
}

Status FileStorage::run_write(const Write& write) {
    const Status ours = still_ours("writing", write.at, write.bytes.size());
    if (!ours) return ours;
    std::uint64_t parts = 0;
    for (std::size_t done = 0; done < write.bytes.size();) {
        const ssize_t count =
            ::pwrite(fds_.write, write.bytes.data() + done, write.bytes.size() - done,
                     static_cast<off_t>(write.at + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return failed("writing", write.at + done, count < 0 ? errno : EIO);
        done += static_cast<std::size_t>(count);
        ++parts;
    }
    // A failed sync is final: the kernel marks the pages clean, and a second one would answer OK (a
    // lie). One that a signal ended has not failed.
    while (!direct_ && ::fdatasync(fds_.write) != 0)
        if (errno != EINTR) return failed("flushing", write.at, errno);
    std::lock_guard lock(mutex_);
    ++counters_.writes;
    counters_.flushes += direct_ ? parts : 1;
    counters_.write_bytes += write.bytes.size();
    return ok();
}

std::size_t FileStorage::run_together(std::span<const Read> reads) {
    std::array<iovec, 2 * together_max> into;
    std::size_t parts = 0;
    std::uint64_t end = reads.front().at;
    for (const Read& read : reads) {
        if (read.at > end) {
            if (!unwanted_)
                unwanted_ = {static_cast<std::uint8_t*>(std::aligned_alloc(4096, gap_max)),
                             std::free};
            if (!unwanted_) return 0;
            into[parts++] = {unwanted_.get(), read.at - end};
        }
        into[parts++] = {read.into.data(), read.into.size()};
        end = end_of(read);
    }
    const ssize_t got = ::preadv(fds_.read, into.data(), static_cast<int>(parts),
                                 static_cast<off_t>(reads.front().at));
    if (got <= 0) return 0;
    end = reads.front().at + static_cast<std::uint64_t>(got);
    std::size_t came = 0;
    std::lock_guard lock(mutex_);
    for (; came < reads.size() && end_of(reads[came]) <= end; ++came)
        counters_.read_bytes += reads[came].into.size();
    counters_.reads += came;
    return came;
}

Status FileStorage::run_read(const Read& read) {
    for (std::size_t done = 0; done < read.into.size();) {
        const ssize_t count = ::pread(fds_.read, read.into.data() + done, read.into.size() - done,
                                      static_cast<off_t>(read.at + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return failed("reading", read.at + done, count < 0 ? errno : EIO);
        done += static_cast<std::size_t>(count);
    }
    std::lock_guard lock(mutex_);
    ++counters_.reads;
    counters_.read_bytes += read.into.size();
    return ok();
}

Status FileStorage::run_erase(Erase& erase) {
    if (erase.cut) return run_cut(erase);
    const std::size_t slice =
        static_cast<std::size_t>(std::min<std::uint64_t>(erase_slice, erase.left));
    const Status ours = still_ours("erasing", erase.at, slice);
    if (!ours) return ours;
    for (std::size_t done = 0; done < slice;) {
        const ssize_t count =
            ::pwrite(fds_.erase, zeros_.get(), slice - done, static_cast<off_t>(erase.at + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return failed("erasing", erase.at + done, count < 0 ? errno : EIO);
        done += static_cast<std::size_t>(count);
    }
    erase.at += slice;
    erase.left -= slice;
    // Nothing waits for zeros to be durable, and what a flush of its own would cost a commit pays
    // once: the next one also commits that these blocks are written.
    std::lock_guard lock(mutex_);
    counters_.erased_bytes += slice;
    return ok();
}

// From the end, so that no write waits for all of it. Not flushed: should a power cut undo it, the
// next owner knows that old bytes may stand there.
Status FileStorage::run_cut(Erase& cut) {
    const Status ours = still_ours("shortening", cut.at, cut.left);
    if (!ours) return ours;
    cut.left -= std::min(cut.left, cut_slice);
    while (::ftruncate(fds_.erase, static_cast<off_t>(cut.at + cut.left)) != 0)
        if (errno != EINTR) return failed("shortening", cut.at, errno);
    length_ = cut.at + cut.left;
    return ok();
}

Status FileStorage::failed(const char* what, std::uint64_t at, int error_number) {
    const bool full = error_number == ENOSPC || error_number == EDQUOT;
    return failed(
        what, at,
        std::string(std::strerror(error_number)) +
            (full ? "; free some space" : "; look at the kernel's log, the device may be dying"));
}

Status FileStorage::failed(const char* what, std::uint64_t at, const std::string& why) {
    std::lock_guard lock(mutex_);
    ++counters_.errors;
    if (notices_.size() < notices_max)
        notices_.push_back({Notice::Level::error, std::string(what) + " " + path_ + " at byte " +
                                                      std::to_string(at) + " failed: " + why});
    return fail(Error::storage);
}

}  // namespace leat::host
