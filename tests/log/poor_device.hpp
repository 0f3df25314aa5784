// A device that does not give what is asked for, between a test and a simulated one.
#pragma once

#include <map>

#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {

/// A device that takes so many reads at a time and no more, or that does not give one sector, or
/// that is away for so many reads of one stretch, or that refuses some writes.
class Poor final : public leat::test::StorageOver {
public:
    explicit Poor(SimStorage& device) : StorageOver(device) {}
    std::size_t reads_max = SIZE_MAX, refused = 0;
    std::uint64_t bad_sector = UINT64_MAX;
    std::uint64_t away_from = 0, away_to = 0;
    std::size_t away_reads = 0;
    std::size_t most_reads = 0;              ///< that were under way at once
    std::size_t busy_writes = 0;             ///< so many find its queue full
    std::size_t bad_writes = 0;              ///< so many fail at once
    bool slow = false;                       ///< one read or write ends at a time

    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (busy_writes > 0) {
            --busy_writes;
            return fail(Error::full);
        }
        if (bad_writes > 0) {
            --bad_writes;
            return fail(Error::storage);
        }
        return below_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (reads_.size() >= reads_max) {
            ++refused;
            return fail(Error::full);
        }
        const bool away = away_reads > 0 && at < away_to && away_from < at + into.size();
        if (away) --away_reads;
        reads_[ticket] = away || (at <= bad_sector && bad_sector < at + into.size());
        most_reads = std::max(most_reads, reads_.size());
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        if (slow && std::exchange(told_, !told_)) return std::nullopt;
        auto done = below_.poll_done();
        if (!done) return done;
        if (const auto read = reads_.extract(done->ticket); read && read.mapped())
            done->status = fail(Error::storage);
        return done;
    }

private:
    std::map<std::uint64_t, bool> reads_;  ///< under way; whether it fails
    bool told_ = false;
};

}  // namespace leat::log::test
