// port::Storage in one file of a folder.
//
// The file is made once, whole: space reserved with fallocate under a temporary name, then renamed,
// so a start that is cut in the middle leaves either no file or all of it. After that its inode and
// its name never change: a commit is one write into blocks that exist, and a full disk cannot stop
// it. Where somebody else takes the name away or cuts the end off, writes fail. A start with a
// larger budget makes it longer; shorter it becomes when its owner gives the end of it back
// (start_shrink).
//
// Two threads, both asleep when idle. One writes: O_DIRECT|O_DSYNC where the file system takes it,
// else write + fdatasync; never fsync. The other reads, so that nobody who reads waits behind a
// flush; reads that wait and lie side by side, or nearly so, are one request to the device. Erasing
// (writing zeros) goes in slices between writes and is not flushed: nobody counts on zeros.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "leat/port/storage.hpp"
#include "sdk/host/file_system_check.hpp"

namespace leat::host {

struct FileStorageOptions {
    std::string folder;  ///< made if missing (its parents are not)
    std::uint64_t budget_bytes =
        0;  ///< size of a new file, and of an older one that is smaller; 0: the smaller of 1 GiB
            ///< and 10 % of the free space, or what is there
    /// How long the file has to be, by its blocks at byte 0 and 16,384; 0: they are not its owner's.
    /// Only a file that is so long is made longer: another one is not ours to change, or its end is
    /// lost. Null: any.
    using MadeFor = std::uint64_t (*)(std::span<const std::uint8_t> first,
                                      std::span<const std::uint8_t> second);
    MadeFor made_for = nullptr;
    /// Under way at once; one more read fails with `full`. Of others a few more are taken: who
    /// reads too much does not stop who writes.
    std::uint32_t operations_max = 1024;
    bool direct = true;                   ///< false: always write + fdatasync (tests)
};

/// Why a folder could not be opened. `text` is one line and ends in what to do.
struct FileStorageError {
    Error error =
        Error::storage;  ///< busy: another process has it · full: no space · invalid · storage
    std::string text;
};

struct FileStorageCounters {
    std::uint64_t writes = 0, write_bytes = 0, reads = 0, read_bytes = 0, erased_bytes = 0,
                  errors = 0;
    /// What the device was asked to make durable: writes of O_DSYNC, or calls of fdatasync.
    std::uint64_t flushes = 0;
};

class FileStorage final : public port::Storage {
public:
    /// Locks the folder (flock on `leat.lock`, gone with the process), makes or opens `leat.log`,
    /// locks that as well, starts the threads. Null: `why` says it.
    static std::unique_ptr<FileStorage> open(const FileStorageOptions& options,
                                             FileStorageError& why);
    ~FileStorage();  ///< stop()
    /// Waits for what is under way, and takes nothing more. Memory that was handed in is the
    /// caller's again, also where nobody has asked poll_done for it.
    void stop();
    FileStorage(const FileStorage&) = delete;
    FileStorage& operator=(const FileStorage&) = delete;

    port::StorageGeometry geometry() const override { return geometry_; }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override;
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override;
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override;
    Status start_shrink(std::uint64_t ticket, std::uint64_t size) override;
    std::optional<port::StorageDone> poll_done() override;
    void wait_done() override;

    /// An eventfd that is readable when poll_done may have something. Owned here; clear it with
    /// wake_clear().
    int wake_fd() const { return wake_fd_; }
    void wake_clear();

    bool is_new() const { return is_new_; }     ///< this start made the file
    bool is_direct() const { return direct_; }  ///< false: write + fdatasync
    const std::string& path() const { return path_; }
    FileStorageCounters counters() const;
    /// What is worth a log line: the file system's warnings, the fallback, later the first failed
    /// operation.
    std::optional<Notice> poll_notice();

private:
    struct Write {
        std::uint64_t ticket, at;
        std::span<const std::uint8_t> bytes;
    };
    struct Read {
        std::uint64_t ticket, at;
        std::span<std::uint8_t> into;
    };
    static std::uint64_t end_of(const Read& read) { return read.at + read.into.size(); }
    struct Erase {
        std::uint64_t ticket, at, left;
        bool cut = false;  ///< the file ends at `at`, instead of zeros
    };
    struct Fds {
        int lock = -1, write = -1, read = -1, erase = -1;
    };

    FileStorage() = default;
    bool open_lock(const std::string& folder, FileStorageError& why);
    bool make_file(const std::string& folder, std::uint64_t size, FileStorageError& why);
    bool open_file(bool direct, FileStorageError& why);
    bool lengthen(std::uint64_t size, std::uint64_t asked);
    void reserve_again(std::uint64_t size);
    bool is_whole(FileStorageOptions::MadeFor made_for, std::uint64_t size);
    void read_from_device();
    bool choose_size(const FileStorageOptions& options, std::uint64_t& size,
                     FileStorageError& why) const;

    bool fits(std::uint64_t at, std::uint64_t size, const void* memory) const;
    void write_loop();
    void read_loop();
    Status run_write(const Write& write);
    /// All of `reads`, each at or behind the end of the one before it, in one go. returns  how many
    /// of them came, from the first on
    std::size_t run_together(std::span<const Read> reads);
    Status run_read(const Read& read);
    /// One slice; done when nothing is left.
    Status run_erase(Erase& erase);
    Status run_cut(Erase& cut);
    Status still_ours(const char* what, std::uint64_t at, std::uint64_t size);
    Status failed(const char* what, std::uint64_t at, int error_number);
    Status failed(const char* what, std::uint64_t at, const std::string& why);
    void finish(std::span<const port::StorageDone> all);
    void finish(std::uint64_t ticket, Status status) {
        const port::StorageDone done{ticket, status};
        finish({&done, 1});
    }

    std::string path_;
    Fds fds_;
    int wake_fd_ = -1;
    port::StorageGeometry geometry_;
    bool is_new_ = false;
    bool ran_before_ = false;  ///< another start left its number in the folder's lock
    bool direct_ = false;
    std::uint64_t length_ = 0;  ///< that the file has if nobody cut it; the writing thread's
    bool has_name_ = false;     ///< some FUSE file systems count no links: there it is never asked
    std::uint32_t operations_max_ = 0;
    std::unique_ptr<std::uint8_t, void (*)(void*)> zeros_{nullptr, nullptr};
    std::unique_ptr<std::uint8_t, void (*)(void*)> unwanted_{nullptr, nullptr};  ///< the reader's

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable write_wanted_, read_wanted_, done_arrived_;
    std::deque<Write> writes_;
    std::deque<Read> reads_;
    std::deque<Erase> erases_;
    std::deque<port::StorageDone> done_;
    std::deque<Notice> notices_;
    std::size_t under_way_ = 0;
    FileStorageCounters counters_;
    bool stopping_ = false;

    std::thread writer_, reader_;
};

}  // namespace leat::host
