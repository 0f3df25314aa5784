// The time of an eMMC in front of a simulated device, on a simulated clock: one operation after
// another, each write followed by the flush that makes it durable.
//
// It schedules like sdk/host/file_storage.cpp: writes first, an erase gets a slice after each of
// them and is not flushed; reads do not wait behind writes that have not begun. No file
// system is in it.
#pragma once

#include <deque>
#include <optional>

#include "tests/support/sim_storage.hpp"

namespace leat::test {

struct EmmcTimes {
    std::uint64_t begin_us = 300;  ///< of every transfer
    std::uint64_t write_bytes_per_us = 20;
    std::uint64_t read_bytes_per_us = 80;
    std::uint64_t flush_us = 2000;
    std::uint64_t erase_slice_bytes = 256 * 1024;

    std::uint64_t durable_write_us(std::uint64_t bytes) const {
        return begin_us + bytes / write_bytes_per_us + flush_us;
    }
};

class EmmcStorage final : public port::Storage {
public:
    explicit EmmcStorage(SimStorage& below, EmmcTimes times = {}) : below_(below), times_(times) {}

    port::StorageGeometry geometry() const override { return below_.geometry(); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override;
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override;
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override;
    Status start_shrink(std::uint64_t ticket, std::uint64_t size) override;
    std::optional<port::StorageDone> poll_done() override;
    void wait_done() override;

    /// Time passes; what finishes by then can be polled.
    void advance(std::uint64_t now_us);
    std::uint64_t now_us() const { return now_us_; }
    /// When the operation under way finishes; none: the device is idle.
    std::optional<std::uint64_t> next_us() const;

private:
    struct Work {
        enum class Kind : std::uint8_t { write, read, erase } kind;
        std::uint64_t ticket, at;
        std::span<const std::uint8_t> bytes;
        std::span<std::uint8_t> into;
        std::uint64_t left;  ///< of an erase
    };
    void begin(std::uint64_t at_us);
    void finish();

    SimStorage& below_;
    EmmcTimes times_;
    std::deque<Work> reads_, writes_, erases_;
    std::deque<port::StorageDone> done_;
    std::optional<Work> current_;
    bool erase_next_ = false;  ///< a write was just done: an erase has its turn
    std::uint64_t now_us_ = 0, finish_us_ = 0;
};

}  // namespace leat::test
