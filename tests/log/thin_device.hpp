// A device of any size in memory: it keeps of each page what lies between its first and last byte
// that is not zero, and of pages that hold none nothing at all. Reads and writes finish at once;
// what they would take an eMMC is counted.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "leat/port/storage.hpp"

namespace leat::log::test {

class ThinDevice final : public port::Storage {
public:
    explicit ThinDevice(std::uint64_t size)
        : size_(size), chunks_((size + chunk * page - 1) / (chunk * page)) {}

    port::StorageGeometry geometry() const override {
        port::StorageGeometry geometry;
        geometry.size = size_;
        return geometry;
    }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (at > size_ || bytes.size() > size_ - at) return fail(Error::invalid);
        bytes_written += bytes.size();
        written_to = std::max(written_to, at + bytes.size());
        emmc_us += 2'300 + static_cast<double>(bytes.size()) / 20;
        const bool fails = std::exchange(fail_next_write, false);
        if (!fails) put(at, bytes);
        done_.push_back({ticket, fails ? Status(fail(Error::storage)) : ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (at > size_ || into.size() > size_ - at) return fail(Error::invalid);
        bytes_read += into.size();
        ++reads;
        emmc_us += 300 + static_cast<double>(into.size()) / 80;
        get(at, into);
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t) override {
        done_.push_back({ticket, ok()});  // it is new: it holds zeros where nothing is
        return ok();
    }
    Status start_shrink(std::uint64_t ticket, std::uint64_t) override {
        done_.push_back({ticket, ok()});
        return ok();
    }
    std::optional<port::StorageDone> poll_done() override {
        if (done_.empty()) return std::nullopt;
        const port::StorageDone first = done_.front();
        done_.pop_front();
        return first;
    }
    void wait_done() override {}

    /// What stands there, whoever reads or writes it otherwise.
    void get(std::uint64_t at, std::span<std::uint8_t> into) const {
        while (!into.empty()) {
            const std::size_t from = at % page;
            const std::size_t size = std::min(page - from, into.size());
            const auto tried = trial_.find(at / page);
            if (tried != trial_.end()) {
                std::memcpy(into.data(), tried->second.data() + from, size);
            } else if (from == 0 && size == page) {
                unpack(at / page, into.data());
            } else {
                Page whole;
                unpack(at / page, whole.data());
                std::memcpy(into.data(), whole.data() + from, size);
            }
            into = into.subspan(size);
            at += size;
        }
    }
    void put(std::uint64_t at, std::span<const std::uint8_t> bytes) {
        while (!bytes.empty()) {
            const std::size_t from = at % page;
            const std::size_t size = std::min(page - from, bytes.size());
            if (size == page && !on_trial_) {
                pack(at / page, bytes.data());
            } else {
                Page whole;
                get(at / page * page, whole);
                std::memcpy(whole.data() + from, bytes.data(), size);
                if (on_trial_)
                    trial_[at / page] = whole;
                else
                    pack(at / page, whole.data());
            }
            bytes = bytes.subspan(size);
            at += size;
        }
    }
    /// What is written from here on is forgotten when the trial ends.
    void begin_trial() { on_trial_ = true; }
    void end_trial() {
        on_trial_ = false;
        trial_.clear();
    }

    bool fail_next_write = false;
    std::uint64_t bytes_written = 0, bytes_read = 0, reads = 0;
    std::uint64_t written_to = 0;  ///< nothing behind it was written, ever
    /// 0.3 ms for each, 80 MB/s to read, 20 MB/s and a flush of 2 ms to write; one after another.
    double emmc_us = 0;

private:
    static constexpr std::size_t page = 4096, chunk = 512;
    using Page = std::array<std::uint8_t, page>;
    using Kept = std::unique_ptr<std::uint8_t[]>;  ///< where it begins, how long it is; the bytes
    using Chunk = std::array<Kept, chunk>;

    void unpack(std::uint64_t number, std::uint8_t* into) const {
        std::memset(into, 0, page);
        const auto& pages = chunks_[number / chunk];
        if (!pages || !(*pages)[number % chunk]) return;
        const std::uint8_t* kept = (*pages)[number % chunk].get();
        std::uint16_t place[2];
        std::memcpy(place, kept, sizeof place);
        std::memcpy(into + place[0], kept + sizeof place, place[1]);
    }
    void pack(std::uint64_t number, const std::uint8_t* whole) {
        constexpr std::size_t step = 64;
        static constexpr std::uint8_t zeros[step] = {};
        std::size_t first = 0, last = page;
        while (first < page && std::memcmp(whole + first, zeros, step) == 0) first += step;
        auto& pages = chunks_[number / chunk];
        if (first == page) {
            if (pages) (*pages)[number % chunk].reset();
            return;
        }
        while (whole[first] == 0) ++first;
        while (std::memcmp(whole + last - step, zeros, step) == 0) last -= step;
        while (whole[last - 1] == 0) --last;
        if (!pages) pages = std::make_unique<Chunk>();
        const std::uint16_t place[2] = {static_cast<std::uint16_t>(first),
                                        static_cast<std::uint16_t>(last - first)};
        // Not zeroed first: a log of 64 GiB has millions of these.
        Kept kept(new std::uint8_t[sizeof place + place[1]]);
        std::memcpy(kept.get(), place, sizeof place);
        std::memcpy(kept.get() + sizeof place, whole + first, place[1]);
        (*pages)[number % chunk] = std::move(kept);
    }

    std::uint64_t size_;
    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::unordered_map<std::uint64_t, Page> trial_;
    bool on_trial_ = false;
    std::deque<port::StorageDone> done_;
};

}  // namespace leat::log::test
