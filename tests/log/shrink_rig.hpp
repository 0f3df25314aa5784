// What the tests of a smaller budget share: a log of equal records, and how it is made smaller.
#pragma once

#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

namespace leat::log::test {

constexpr std::uint64_t bytes_for(std::uint64_t segments) {
    return 32 * KiB + segments * small_segment;
}

inline LogConfig config_for(std::uint64_t segments) {
    LogConfig config = small_config();
    config.budget_bytes = bytes_for(segments);
    return config;
}

inline BatchSpec spec_of(std::uint64_t i, std::size_t size = 7'000) {
    return {.size = size, .salt = i, .timestamp = 1'000'000 + static_cast<std::int64_t>(i)};
}

struct Records {
    std::uint64_t next = 0;
    std::size_t size = 7'000;

    bool put(Rig& rig) {
        if (!rig.append_durably(1, spec_of(next, size))) return false;
        ++next;
        return true;
    }
    void put(Rig& rig, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) REQUIRE(put(rig));
    }
    /// Everything from the log start on, byte-equal.
    void check(Rig& rig, Offset from = 0) const {
        REQUIRE(rig.log->stream(1)->log_end == static_cast<Offset>(next));
        REQUIRE(rig.log->stream(1)->log_start == from);
        const auto all = rig.read_all(1, from);
        REQUIRE(!all.error);
        ByteView left = all.bytes;
        std::uint64_t wrong = 0;
        for (auto i = static_cast<std::uint64_t>(from); i < next; ++i) {
            std::vector<std::uint8_t> want = make_batch(spec_of(i, size));
            store_big<std::int64_t>(want.data(), static_cast<std::int64_t>(i));
            const ByteView got = next_batch(left);
            wrong += got.size() != want.size() || !equal(got.first(12), ByteView(want).first(12)) ||
                     !equal(got.subspan(16), ByteView(want).subspan(16));
        }
        CHECK(wrong == 0);
        CHECK(left.empty());
        CHECK(rig.log->books(1).balanced());
        CHECK(rig.log->counters().damaged_batches == 0);
    }
};

/// One stream; nothing of it may go but what a test lets go.
inline void declare(Rig& rig, StreamPolicy policy = {}, Offset release = 0) {
    REQUIRE(rig.log->declare_stream(1, policy));
    rig.log->set_release(1, release);
}

inline bool shrinks(Rig& rig, std::int64_t most_ms = 120'000) {
    for (std::int64_t ms = 0; ms < most_ms; ms += 25) {
        rig.pass(25);
        if (rig.log->status().shrinking == Shrinking::no) return true;
    }
    return false;
}

/// A log of `segments` in which `records` were written, `freed` of them gone: closed.
inline SimImage filled(std::uint64_t segments, Records& records, std::uint64_t count, Offset freed = 0,
                std::uint64_t more = 0) {
    SimStorage device({.size = bytes_for(segments)});
    Rig rig(device, config_for(segments));
    REQUIRE(rig.open());
    declare(rig);
    records.put(rig, count);
    if (freed > 0) REQUIRE(rig.log->set_log_start(rig.at(), 1, freed));
    for (int i = 0; i < 40; ++i) rig.pass(1'000);
    records.put(rig, more);
    rig.close();
    REQUIRE(rig.log->closed());
    return device.image();
}

inline std::uint64_t headers_behind(const SimImage& image, std::uint64_t segment) {
    std::uint64_t count = 0;
    for (std::uint64_t at = bytes_for(segment); at + small_segment <= image.size();
         at += small_segment) {
        std::uint8_t bytes[segment_header_bytes];
        image.read(at, bytes);
        count += static_cast<bool>(decode_segment_header(bytes));
    }
    return count;
}

}  // namespace leat::log::test
