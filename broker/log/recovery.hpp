// From a device to a log in RAM (FORMAT.md section 9): superblock, its checkpoint, the footers
// since, the open tail. The only part that waits for the device; nobody is served yet.
#pragma once

#include "broker/log/checkpoint.hpp"
#include "broker/log/scan.hpp"

namespace leat::log {

/// Reads and writes that wait.
class WaitingStorage {
public:
    explicit WaitingStorage(Core& core, Patience patience = {})
        : core_(core), patience_(patience), memory_(core.geometry.align) {}
    /// Bytes stay until the next call. `at` and `size` are rounded out to pages.
    Result<ByteView> read(std::uint64_t at, std::size_t size, int tries = 2);
    /// As much as the device gives, 256 KiB at a time; where it does not, page by page, as patience
    /// goes: what cannot be read then is zeros. Returns where in `into` these 4 KiB are.
    std::vector<std::size_t> read_what_holds(std::uint64_t at, MutableBytes into);
    Status write(std::uint64_t at, ByteView bytes);
    /// It gave something before, and then nothing at all: what was refused is not known to be lost.
    bool away() const { return away_; }

private:
    bool once(std::uint64_t at, std::size_t size);
    Status wait(std::uint64_t ticket);
    Core& core_;
    Patience patience_;
    std::size_t refused_ = 0;  ///< of `all`
    bool away_ = false;
    std::uint64_t gave_ = UINT64_MAX;  ///< the first page that came
    AlignedBytes memory_;
};

struct Recovered {
    Arrivals::Tail arrivals;
    CheckpointWriter::Tail checkpoint;
    std::vector<SegmentIndex::Lost> lost;  ///< for the ledger
    bool fresh = false;                    ///< the device was empty: created now
    bool sealed = false;                   ///< the last run stopped cleanly
    /// The newest one was read, but the next lost bit may be one too many; or behind it lies a
    /// sealed segment without a footer.
    bool checkpoint_wanted = false;
};

/// Fills the core's tables, and writes the superblock of the new run. `error_text` says failures
/// for people. fails: unsupported · corrupt · too_large · storage
Result<Recovered> recover(Core& core, Instant now, WallTime wall, std::string& error_text);

}  // namespace leat::log
