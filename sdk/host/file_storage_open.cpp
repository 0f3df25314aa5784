// Start-up of FileStorage: lock, make or open the file, choose how to write. Everything here may
// wait.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sdk/host/file_storage.hpp"

namespace leat::host {
namespace {

// With 32 bits a log of 5 GiB would silently become one of 1 GiB (cmake/leat.cmake has the define).
static_assert(sizeof(off_t) == 8);

constexpr std::uint32_t direct_unit = 4096;  // covers 512 and 4096 byte sectors, and a memory page
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
constexpr std::uint64_t budget_min = MiB;  // the superblock and 15 segments of 64 KiB
constexpr std::size_t zeros_bytes = 256 * KiB;

std::string size_text(std::uint64_t bytes) {
    const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    std::uint64_t whole = bytes;
    while (whole >= 10 * 1024 && unit < 4) {
        whole /= 1024;
        ++unit;
    }
    return std::to_string(whole) + " " + units[unit];
}

bool refuse(FileStorageError& why, Error error, std::string text) {
    why = {error, std::move(text)};
    return false;
}

constexpr const char* busy_advice =
    "; stop that one first, or give this one its own folder with --data";

std::string errno_text() { return std::strerror(errno); }

/// Why opening failed, and what to do: `usual`, unless it is nobody's file.
std::string open_text(const char* usual) {
    switch (errno) {
        case EMFILE:
        case ENFILE:
            return errno_text() + "; raise the limit (ulimit -n), or see who holds so many";
        case ENOMEM:
            return errno_text() + "; the machine is out of memory";
        default:
            return errno_text() + usual;
    }
}

int open_retrying(const char* path, int flags, mode_t mode = 0) {
    for (;;) {
        const int fd = ::open(path, flags | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EINTR) return fd;
    }
}

/// 0, or errno.
int sync_retrying(int fd) {
    for (;;) {
        if (::fsync(fd) == 0) return 0;
        if (errno != EINTR) return errno;
    }
}

void sync_folder(const std::string& folder) {
    const int directory = open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY);
    if (directory < 0) return;
    (void)sync_retrying(directory);
    ::close(directory);
}

}  // namespace

bool FileStorage::open_lock(const std::string& folder, FileStorageError& why) {
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST)
        return refuse(why, Error::storage,
                      "cannot make the data folder " + folder + ": " + errno_text() +
                          "; choose another with --data, or make its parent");
    const std::string path = folder + "/leat.lock";
    fds_.lock = open_retrying(path.c_str(), O_RDWR | O_CREAT, 0640);
    if (fds_.lock < 0)
        return refuse(why, errno == ENOSPC ? Error::full : Error::storage,
                      "cannot open " + path + ": " +
                          open_text("; check who owns the folder and that it is not read-only"));
    if (::flock(fds_.lock, LOCK_EX | LOCK_NB) != 0) {
        char owner[32] = {};
        const ssize_t count = ::pread(fds_.lock, owner, sizeof owner - 1, 0);
        std::string pid(owner, count > 0 ? static_cast<std::size_t>(count) : 0);
        while (!pid.empty() && (pid.back() < '0' || pid.back() > '9')) pid.pop_back();
        return refuse(why, Error::busy,
                      "the data folder " + folder + " is in use by another process" +
                          (pid.empty() ? "" : " (pid " + pid + ")") + busy_advice);
    }
    char before = 0;
    ran_before_ = ::pread(fds_.lock, &before, 1, 0) == 1;
    const std::string pid = std::to_string(::getpid()) + std::string(12, ' ') + "\n";
    [[maybe_unused]] const ssize_t ignored =
        ::pwrite(fds_.lock, pid.data(), pid.size(), 0);  // only for the text above
    return true;
}

bool FileStorage::choose_size(const FileStorageOptions& options, std::uint64_t& size,
                              FileStorageError& why) const {
    struct statvfs space {};
    if (::statvfs(options.folder.c_str(), &space) != 0)
        return refuse(why, Error::storage,
                      "cannot look at " + options.folder + ": " + errno_text());
    const std::uint64_t free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    size = options.budget_bytes ? options.budget_bytes : std::min(gib, free_bytes / 10);
    size -= size % (64 * KiB);
    if (size < budget_min) {
        if (options.budget_bytes)
            return refuse(why, Error::invalid,
                          "a budget of " + size_text(options.budget_bytes) +
                              " is too small; the least is " + size_text(budget_min));
        return refuse(why, Error::full,
                      "the disk under " + options.folder + " has only " + size_text(free_bytes) +
                          " free, and a tenth of it is too little for a log; free some, or set "
                          "--budget 1MiB or more");
    }
    if (size > free_bytes)
        return refuse(why, Error::full,
                      "the disk under " + options.folder + " has " + size_text(free_bytes) +
                          " free and the budget is " + size_text(size) +
                          "; free some space, or set a smaller --budget");
    return true;
}

bool FileStorage::make_file(const std::string& folder, std::uint64_t size, FileStorageError& why) {
    const std::string temporary = path_ + ".new";
    const int fd = open_retrying(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0)
        return refuse(why, errno == ENOSPC ? Error::full : Error::storage,
                      "cannot make " + temporary + ": " +
                          open_text("; free some space or check who owns the folder"));
    int failure = 0;
    while (::fallocate(fd, 0, 0, static_cast<off_t>(size)) != 0) {
        if (errno == EINTR) continue;
        failure = errno;
        break;
    }
    if (failure == EOPNOTSUPP || failure == ENOSYS) {
        // The space is only promised then, so a full disk may fail a commit later; the log survives
        // that.
        failure = ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
        notices_.push_back({Notice::Level::warn,
                            "the file system cannot reserve space (fallocate): keep " +
                                size_text(size) + " free for " + path_ + ", or commits will fail"});
    }
    if (failure == 0) failure = sync_retrying(fd);
    ::close(fd);
    if (failure == 0 && ::rename(temporary.c_str(), path_.c_str()) != 0) failure = errno;
    if (failure != 0) {
        ::unlink(temporary.c_str());
        return refuse(why, failure == ENOSPC || failure == EDQUOT ? Error::full : Error::storage,
                      "cannot reserve " + size_text(size) + " for " + path_ + ": " +
                          std::strerror(failure) + "; free some space, or set a smaller --budget");
    }
    // The file's entry, and the folder's own: it may have been made just now, by this start or by
    // one that was cut.
    sync_folder(folder);
    sync_folder(folder + "/..");
    is_new_ = true;
    return true;
}

// O_DIRECT may be refused by open, or only by the first transfer: so one read is tried.
bool FileStorage::open_file(bool direct, FileStorageError& why) {
    auto attempt = [this](int write_flags, int other_flags) {
        fds_.write = open_retrying(path_.c_str(), O_RDWR | write_flags);
        fds_.read = open_retrying(path_.c_str(), O_RDONLY | other_flags);
        fds_.erase = open_retrying(path_.c_str(), O_RDWR | other_flags);
        if (fds_.write < 0 || fds_.read < 0 || fds_.erase < 0) return false;
        for (;;) {
            const ssize_t count = ::pread(fds_.read, zeros_.get(), direct_unit, 0);
            if (count >= 0 || errno != EINTR) return count == direct_unit;
        }
    };
    direct_ = direct && attempt(O_DIRECT | O_DSYNC, O_DIRECT);
    if (!direct_) {
        for (int* fd : {&fds_.write, &fds_.read, &fds_.erase}) {
            if (*fd >= 0) ::close(*fd);
            *fd = -1;
        }
        if (!attempt(0, 0))
            return refuse(why, Error::storage,
                          "cannot open " + path_ + ": " +
                              open_text("; check who owns it and that the disk is well"));
        notices_.push_back(
            {Notice::Level::info, std::string("writing with write + fdatasync: ") +
                                      (direct ? "O_DIRECT was refused here"
                                              : "O_DIRECT gains nothing on this file system")});
    }
    std::memset(zeros_.get(), 0, direct_unit);
    return true;
}

bool FileStorage::is_whole(FileStorageOptions::MadeFor made_for, std::uint64_t size) {
    if (made_for == nullptr) return true;
    std::uint8_t* second = zeros_.get() + direct_unit;
    for (std::uint8_t* block : {zeros_.get(), second})
        if (::pread(fds_.read, block, direct_unit, block == second ? 16 * 1024 : 0) != direct_unit)
            std::memset(block, 0, direct_unit);
    const std::uint64_t asked = made_for({zeros_.get(), direct_unit}, {second, direct_unit});
    if (std::all_of(zeros_.get(), second + direct_unit, [](auto byte) { return byte == 0; }))
        notices_.push_back(
            {Notice::Level::warn,
             path_ + " was there, but holds zeros where a log begins, as one does whose making was "
                     "cut: if there were records in it, stop leatd and put a copy of the whole "
                     "file in its place"});
    std::memset(zeros_.get(), 0, 2 * direct_unit);
    return asked != 0 && asked <= size;
}

// After a flush that failed the kernel calls its pages clean: a process that follows would read from
// memory what the device never got, and promise it. So what is dirty goes to the device, and what
// is clean is forgotten.
void FileStorage::read_from_device() {
    int failure = sync_retrying(fds_.write);
    if (failure != 0) failure = sync_retrying(fds_.write);  // the first may tell of an old failure
    if (failure != 0)
        notices_.push_back({Notice::Level::warn,
                            "flushing " + path_ + " failed: " + std::strerror(failure) +
                                "; look at the kernel's log, the device may be dying"});
    (void)::posix_fadvise(fds_.read, 0, 0, POSIX_FADV_DONTNEED);
}

// For a larger budget. A start does not fail for it: what is there goes on as it is.
bool FileStorage::lengthen(std::uint64_t size, std::uint64_t asked) {
    const auto to = static_cast<off_t>(asked);
    int failure = 0;
    while (::fallocate(fds_.erase, 0, static_cast<off_t>(size), to - static_cast<off_t>(size)) != 0) {
        if (errno == EINTR) continue;
        failure = errno;
        break;
    }
    if (failure == EOPNOTSUPP || failure == ENOSYS)
        failure = ::ftruncate(fds_.erase, to) == 0 ? 0 : errno;
    if (failure == 0) failure = sync_retrying(fds_.erase);
    if (failure == 0) return true;
    [[maybe_unused]] const int ignored = ::ftruncate(fds_.erase, static_cast<off_t>(size));
    notices_.push_back({Notice::Level::warn,
                        path_ + " stays at " + size_text(size) + ", not " + size_text(asked) +
                            " as the budget is now: " + std::strerror(failure) +
                            "; free some space and start again"});
    return false;
}

// cp, rsync -S and tar -S leave out what is zeros: a full disk would stop the copy's commits.
void FileStorage::reserve_again(std::uint64_t size) {
    struct stat file {};
    if (::fstat(fds_.erase, &file) != 0 || static_cast<std::uint64_t>(file.st_blocks) * 512 >= size)
        return;
    while (::fallocate(fds_.erase, 0, 0, static_cast<off_t>(size)) != 0) {
        if (errno == EINTR) continue;
        if (errno != EOPNOTSUPP && errno != ENOSYS)
            notices_.push_back(
                {Notice::Level::warn, path_ + " is a copy with holes, and they cannot be filled: " +
                                          errno_text() + "; free some space and start again"});
        return;
    }
}

std::unique_ptr<FileStorage> FileStorage::open(const FileStorageOptions& options,
                                               FileStorageError& why) {
    std::unique_ptr<FileStorage> storage(new FileStorage);
    if (!storage->open_lock(options.folder, why)) return nullptr;
    storage->path_ = options.folder + "/leat.log";
    storage->operations_max_ = options.operations_max;
    storage->zeros_ = {static_cast<std::uint8_t*>(std::aligned_alloc(direct_unit, zeros_bytes)),
                       &std::free};
    LEAT_CHECK(storage->zeros_ != nullptr);
    std::memset(storage->zeros_.get(), 0, zeros_bytes);

    const FileSystemVerdict verdict = judge(look_at(options.folder));
    storage->notices_.assign(verdict.notices.begin(), verdict.notices.end());

    struct stat file {};
    if (::stat(storage->path_.c_str(), &file) != 0) {
        if (errno != ENOENT) {
            refuse(why, Error::storage, "cannot look at " + storage->path_ + ": " + errno_text());
            return nullptr;
        }
        std::uint64_t size = 0;
        if (!storage->choose_size(options, size, why)) return nullptr;
        if (!storage->make_file(options.folder, size, why)) return nullptr;
        if (storage->ran_before_)
            storage->notices_.push_back(
                {Notice::Level::warn,
                 "a leatd was started on " + options.folder + " before (leat.lock is there), but " +
                     storage->path_ +
                     " is not: a new, empty log was made; if there was one, look whether its disk "
                     "is mounted, and to have it back stop leatd and put it in the place of this "
                     "one"});
        file.st_size = static_cast<off_t>(size);
    } else if (!S_ISREG(file.st_mode) || static_cast<std::uint64_t>(file.st_size) < budget_min) {
        refuse(why, Error::invalid,
               storage->path_ + " is not a log of ours (" +
                   size_text(static_cast<std::uint64_t>(file.st_size)) +
                   "); move it away, or choose another folder with --data");
        return nullptr;
    }
    std::uint64_t size = static_cast<std::uint64_t>(file.st_size) / direct_unit * direct_unit;
    if (!storage->open_file(options.direct && verdict.direct, why)) return nullptr;
    // The folder's lock says nothing where somebody tidied it away, or where the log is a link that
    // another folder has, too.
    if (::flock(storage->fds_.write, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        refuse(why, Error::busy, storage->path_ + " is in use by another process" + busy_advice);
        return nullptr;
    }
    storage->has_name_ = ::fstat(storage->fds_.write, &file) == 0 && file.st_nlink != 0;
    // A smaller budget is for the owner of what is in the file: start_shrink.
    const std::uint64_t asked = options.budget_bytes - options.budget_bytes % (64 * KiB);
    if (!storage->is_new_) storage->read_from_device();
    if (!storage->is_new_ && storage->is_whole(options.made_for, size)) {
        storage->reserve_again(size);
        if (asked > size && storage->lengthen(size, asked)) size = asked;
    }
    storage->length_ = size;
    storage->geometry_ = {.size = size,
                          .write_size = direct_unit,
                          .erase_size = 0,
                          .align = storage->direct_ ? direct_unit : 1};

    storage->wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (storage->wake_fd_ < 0) {
        refuse(why, Error::storage, "no eventfd: " + errno_text() + "; raise ulimit -n");
        return nullptr;
    }
    storage->writer_ = std::thread([raw = storage.get()] { raw->write_loop(); });
    storage->reader_ = std::thread([raw = storage.get()] { raw->read_loop(); });
    return storage;
}

}  // namespace leat::host
