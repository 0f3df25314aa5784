#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include "leat/result.hpp"

namespace leat::port {

/// What the device is. All sizes in bytes.
struct StorageGeometry {
    std::uint64_t size = 0;         ///< addressable bytes [0, size)
    std::uint32_t write_size = 512; ///< smallest and alignment of a write (512, 4096, a NOR program unit)
    std::uint32_t erase_size = 0;   ///< erase block; 0: overwriting needs no erase (disk, eMMC, SD)
    std::uint32_t align = 1;        ///< alignment of memory handed in (O_DIRECT: 4096)
};

/// One finished operation. `status` fails with `storage` when the device said so: then nothing about the
/// addressed bytes is known (old, new, torn), and a later success of the same call proves nothing.
struct StorageDone {
    std::uint64_t ticket = 0;
    Status status = ok();
};

/// A block device: submit, then collect. No call waits but `wait_done`, which only start-up may use.
///
/// A finished write is DURABLE (O_DIRECT|O_DSYNC, or write + fdatasync). Operations may finish in any
/// order. Memory handed in is borrowed until its ticket comes back.
class Storage {
public:
    virtual StorageGeometry geometry() const = 0;
    /// `at` and the size are multiples of write_size. fails: invalid (outside, unaligned), full (too many under way).
    virtual Status start_write(std::uint64_t ticket, std::uint64_t at, std::span<const std::uint8_t> bytes) = 0;
    virtual Status start_read(std::uint64_t ticket, std::uint64_t at, std::span<std::uint8_t> into) = 0;
    /// Makes [at, at+size) erased: zeros on disks (really written: the next write there changes no metadata), 0xFF on NOR.
    /// Zeros need not be durable when it is finished.
    virtual Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) = 0;
    /// Gives everything from `size` on back to whoever lent it (the end of a file): geometry().size is `size` from here
    /// on, or stays where nothing can be given back. Nothing may be under way or asked for there. Whether it fails or
    /// not, what stood there is unknown: a device that is larger again some day shows zeros or the old bytes.
    virtual Status start_shrink(std::uint64_t ticket, std::uint64_t size) = 0;
    virtual std::optional<StorageDone> poll_done() = 0;
    /// Blocks until poll_done has something, or nothing is under way. Recovery only: before the first byte
    /// is served nobody else waits.
    virtual void wait_done() = 0;

protected:
    ~Storage() = default;
};

}  // namespace leat::port
