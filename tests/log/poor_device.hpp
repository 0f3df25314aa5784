// A device that does not give what is asked for, between a test and a simulated one.
#pragma once

#include <map>

#include "tests/log/rig.hpp"

namespace leat::log::test {

/// A device that takes so many reads at a time and no more, or that does not give one sector.
class Poor final : public port::Storage {
public:
    explicit Poor(SimStorage& device) : device_(device) {}
    std::size_t reads_max = SIZE_MAX, refused = 0;
    std::uint64_t bad_sector = UINT64_MAX;

    port::StorageGeometry geometry() const override { return device_.geometry(); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        return device_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (reads_.size() >= reads_max) {
            ++refused;
            return fail(Error::full);
        }
        reads_[ticket] = at <= bad_sector && bad_sector < at + into.size();
        return device_.start_read(ticket, at, into);
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override {
        return device_.start_erase(ticket, at, size);
    }
    Status start_shrink(std::uint64_t ticket, std::uint64_t size) override {
        return device_.start_shrink(ticket, size);
    }
    std::optional<port::StorageDone> poll_done() override {
        auto done = device_.poll_done();
        if (!done) return done;
        if (const auto read = reads_.extract(done->ticket); read && read.mapped())
            done->status = fail(Error::storage);
        return done;
    }
    void wait_done() override { device_.wait_done(); }

private:
    SimStorage& device_;
    std::map<std::uint64_t, bool> reads_;  ///< under way; whether it fails
};

}  // namespace leat::log::test
