// Records that come one by one, each a commit of its own, and a look at what the cleaner asks of
// the device: what the cleaner's tests share.
#pragma once

#include <doctest/doctest.h>

#include <functional>

#include "broker/log/cleaner.hpp"
#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {

constexpr std::size_t lone_bytes = 209;  ///< 200 B of value as a Kafka record; the batch has 270

inline std::vector<std::uint8_t> sent(const BatchSpec& spec, Offset base) {
    std::vector<std::uint8_t> batch = make_batch(spec);
    store_big<std::int64_t>(batch.data(), base);
    return batch;
}

inline BatchSpec lone(std::uint64_t i) {
    return {.size = lone_bytes,
            .salt = i,
            .timestamp = 1'000'000 + static_cast<std::int64_t>(i) * 100};
}

/// Ten records a second, each on its own and acknowledged before the next, until the log says full
/// for ten seconds. Returns how many it holds.
inline std::uint64_t fill_up(Rig& rig, std::uint64_t from = 0) {
    std::uint64_t i = from;
    for (int refused = 0; refused < 100; rig.pass(100))
        if (rig.append_durably(1, lone(i))) {
            ++i;
            refused = 0;
        } else {
            ++refused;
        }
    return i;
}

inline void check_all(Rig& rig, std::uint64_t count, std::uint64_t from = 0) {
    const auto all = rig.read_all(1, static_cast<Offset>(from));
    REQUIRE(!all.error);
    ByteView left = all.bytes;
    std::uint64_t wrong = 0;
    for (std::uint64_t i = from; i < count; ++i) {
        const ByteView got = next_batch(left);
        const auto expect = sent(lone(i), static_cast<Offset>(i));
        if (got.size() != expect.size() || !equal(got.first(12), ByteView(expect).first(12)) ||
            !equal(got.subspan(16), ByteView(expect).subspan(16)))
            ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(left.empty());
    CHECK(all.next == static_cast<Offset>(count));
    CHECK(rig.log->counters().damaged_batches == 0);
}

/// Sees what the cleaner asks of the device (its tickets bear its number).
class Watched final : public leat::test::StorageOver {
public:
    explicit Watched(SimStorage& device) : StorageOver(device) {}
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        begin(ticket, bytes.size());
        const Status started = below_.start_write(ticket, at, bytes);
        if (ours(ticket) && on_own_write) on_own_write();
        return started;
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        begin(ticket, into.size());
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        const auto done = below_.poll_done();
        if (done && ours(done->ticket)) --under_way;
        return done;
    }

    std::function<void()> on_own_write;  ///< the cleaner's is under way
    std::uint64_t asked = 0, most = 0, largest = 0, sum = 0;
    int under_way = 0;

private:
    static bool ours(std::uint64_t ticket) { return Core::owner_of(ticket) == Owner::cleaner; }
    void begin(std::uint64_t ticket, std::uint64_t size) {
        if (!ours(ticket)) return;
        ++asked;
        sum += size;
        most = std::max<std::uint64_t>(most, static_cast<std::uint64_t>(++under_way));
        largest = std::max(largest, size);
    }
};

}  // namespace leat::log::test
