// A device that does not give what is asked for, between a test and a simulated one.
#pragma once

#include <map>

#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {

/// A device that takes so many reads at a time and no more, or that does not give one sector, or
/// that is away for so many reads of one stretch.
class Poor final : public leat::test::StorageOver {
public:
    explicit Poor(SimStorage& device) : StorageOver(device) {}
    std::size_t reads_max = SIZE_MAX, refused = 0;
    std::uint64_t bad_sector = UINT64_MAX;
    std::uint64_t away_from = 0, away_to = 0;
    std::size_t away_reads = 0;

    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (reads_.size() >= reads_max) {
            ++refused;
            return fail(Error::full);
        }
        const bool away = away_reads > 0 && at < away_to && away_from < at + into.size();
        if (away) --away_reads;
        reads_[ticket] = away || (at <= bad_sector && bad_sector < at + into.size());
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        auto done = below_.poll_done();
        if (!done) return done;
        if (const auto read = reads_.extract(done->ticket); read && read.mapped())
            done->status = fail(Error::storage);
        return done;
    }

private:
    std::map<std::uint64_t, bool> reads_;  ///< under way; whether it fails
};

}  // namespace leat::log::test
