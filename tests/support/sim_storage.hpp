// A block device in memory that does what real ones do at the worst moment, from one seed.
//
// A finished write is durable; what is under way when the power fails is old, new or garbage, sector by
// sector. The image is copy-on-write, so a test can take one device at each write and try many crash
// states of it: crash_image() is a new image, the device goes on.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "leat/port/entropy.hpp"
#include "leat/port/storage.hpp"

namespace leat::test {

/// A small generator (SplitMix64): equal on every platform.
class SimRandom {
public:
    explicit SimRandom(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    bool chance(std::uint32_t percent) { return below(100) < percent; }

private:
    std::uint64_t state_;
};

class SimEntropy final : public port::Entropy {
public:
    explicit SimEntropy(std::uint64_t seed) : random_(seed) {}
    Status fill(std::span<std::uint8_t> into) override {
        for (std::uint8_t& byte : into) byte = static_cast<std::uint8_t>(random_.next());
        return ok();
    }

private:
    SimRandom random_;
};

/// Bytes of a device in shared 4 KiB pages. Copies are cheap; a write copies only the page it touches.
class SimImage {
public:
    static constexpr std::size_t page_bytes = 4096;
    explicit SimImage(std::uint64_t size = 0) : pages_((size + page_bytes - 1) / page_bytes), size_(size) {}
    std::uint64_t size() const { return size_; }
    /// What is cut off is gone; what is added is zeros.
    void resize(std::uint64_t size);
    void read(std::uint64_t at, std::span<std::uint8_t> into) const;
    void write(std::uint64_t at, std::span<const std::uint8_t> bytes);
    /// Equal contents have equal hashes; kept page by page, so asking is cheap after few writes.
    std::uint64_t hash() const;

private:
    struct Page {
        std::array<std::uint8_t, page_bytes> bytes{};
        mutable std::uint64_t hash = 0;  ///< 0: not known
    };
    std::vector<std::shared_ptr<Page>> pages_;  ///< null: zeros
    std::uint64_t size_;
};

/// What becomes of a write that was under way.
enum class Tear : std::uint8_t { dropped, kept, prefix, suffix, subset, garbage, one_missing, one_kept, page_lost };
constexpr std::uint8_t tears = 9;

struct SimStorageOptions {
    std::uint64_t seed = 1;
    std::uint64_t size = 0;              ///< bytes; 0: that of the image
    std::uint32_t sector = 512;          ///< the unit that is written whole or not at all
    std::uint32_t write_size = 512;
    std::uint32_t lost_page = 4096;      ///< what Tear::page_lost takes, aligned: a page of flash
    std::uint64_t power_cut_at_write = UINT64_MAX;  ///< the so-many-th write (from 0) never finishes, nor does anything after
    std::uint64_t fail_write_at = UINT64_MAX;       ///< this write fails; what it leaves is torn
    std::uint64_t fail_writes = 1;                  ///< ... and so many in a row
    std::uint64_t fail_read_at = UINT64_MAX;
    std::uint64_t fail_reads = 1;                   ///< so many in a row
    bool shuffle = false;                ///< completions come in any order
    bool shrinks = true;                 ///< false: it stays as large as it is when its end is given back
    std::uint64_t lies_for_writes = 0;   ///< a write is reported done so many writes before it is durable
    std::uint64_t tail_rewritten_in = 0; ///< a segment's bytes: a write in one takes the page in front of it along
};

class SimStorage final : public port::Storage {
public:
    explicit SimStorage(SimStorageOptions options) : SimStorage(options, SimImage(options.size)) {}
    SimStorage(SimStorageOptions options, SimImage image);

    port::StorageGeometry geometry() const override;
    Status start_write(std::uint64_t ticket, std::uint64_t at, std::span<const std::uint8_t> bytes) override;
    Status start_read(std::uint64_t ticket, std::uint64_t at, std::span<std::uint8_t> into) override;
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override;
    Status start_shrink(std::uint64_t ticket, std::uint64_t size) override;
    std::optional<port::StorageDone> poll_done() override;
    void wait_done() override;

    // -- control ------------------------------------------------------------------------------------
    /// While held, writes stay under way until complete() names them; reads go on.
    void hold(bool held) { held_ = held; }
    std::size_t writes_under_way() const { return writes_.size(); }
    /// Whether the one that was submitted last begins and ends in different pieces of this size,
    /// counted from `first`.
    bool newest_write_crosses(std::uint64_t first, std::uint64_t piece) const {
        if (writes_.empty() || writes_.back().at < first) return false;
        const std::uint64_t from = writes_.back().at - first;
        return from / piece != (from + writes_.back().bytes.size() - 1) / piece;
    }
    /// Finishes the index-th write under way.
    void complete(std::size_t index, bool good = true);
    bool was_cut() const { return cut_; }
    /// The write after `later` more ones fails, and `count` in a row.
    void fail_next(std::uint64_t later, std::uint64_t count) {
        options_.fail_write_at = counts_.writes + later;
        options_.fail_writes = count;
    }
    /// The read after `later` more ones fails.
    void fail_next_read(std::uint64_t later) { fail_next_reads(later, 1); }
    /// ... and `count` in a row: the device is away for so long.
    void fail_next_reads(std::uint64_t later, std::uint64_t count) {
        options_.fail_read_at = counts_.reads + later;
        options_.fail_reads = count;
    }
    /// The next time its end is given back that fails, and nothing changes.
    void fail_next_shrink() { shrink_fails_ = true; }
    /// What was under way is resolved by the seed; then the device works again.
    void power_cycle();
    /// The device as it could be found after a power cut now.
    SimImage crash_image(Tear tear, SimRandom& random) const;
    /// Called for every write that is submitted, before it can finish.
    std::function<void()> on_write;

    const SimImage& image() const { return image_; }
    SimImage& image() { return image_; }
    struct Counts {
        std::uint64_t writes = 0, reads = 0, erases = 0, shrinks = 0, bytes_written = 0, bytes_read = 0;
    };
    const Counts& counts() const { return counts_; }

private:
    struct Write {
        std::uint64_t ticket, at;
        std::vector<std::uint8_t> bytes;
        bool fails;
    };
    struct Done {
        std::uint64_t ticket;
        bool good;
    };
    void settle();
    void finish(Write write);
    void tear(SimImage& image, const Write& write, Tear tear, SimRandom& random) const;

    SimStorageOptions options_;
    SimImage image_;
    SimRandom random_;
    std::deque<Write> writes_;   ///< under way
    struct Erase { std::uint64_t ticket, at, size; };
    std::deque<Erase> erases_;   ///< under way; what a power cut leaves of them is any part
    struct Shrink { std::uint64_t ticket, size; };
    std::optional<Shrink> shrink_;  ///< under way; a power cut leaves the old size or the new one
    bool shrink_fails_ = false;
    std::uint64_t limit_ = UINT64_MAX;  ///< what is behind it was given back in this run
    std::uint64_t size() const { return std::min(limit_, image_.size()); }
    std::deque<Write> volatile_; ///< reported done by a device that lies
    std::deque<Done> done_;
    Counts counts_;
    bool held_ = false, cut_ = false;
};

}  // namespace leat::test
