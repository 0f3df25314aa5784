// The cleaner on a device that refuses reads, or answers late: what is whole is never given up for
// it, nothing else waits for it, and of what is gone no more than its page.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "tests/log/lone.hpp"
#include "tests/log/planted.hpp"
#include "tests/support/storage_over.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t half_log = pool + 32 * std::uint64_t{small_segment};

/// A device that answers the cleaner late, or refuses what is read of some stretch.
class Ill final : public leat::test::StorageOver {
public:
    explicit Ill(SimStorage& device) : StorageOver(device) {}
    const std::int64_t* now = nullptr;
    std::int64_t late_ms = 0;
    std::uint64_t from = 0, to = 0;  ///< of anything in here nothing is read
    std::uint64_t written_from = UINT64_MAX;  ///< a write in there makes it good
    std::map<std::uint64_t, std::uint64_t> refusals;  ///< by the page where a refused read began

    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (at <= written_from && written_from < at + bytes.size()) from = to = 0;
        return below_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        const bool refused = at < to && from < at + into.size();
        if (refused) ++refusals[at / page];
        const bool late = late_ms > 0 && Core::owner_of(ticket) == Owner::cleaner;
        reads_[ticket] = {refused, late ? *now + late_ms : 0};
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        while (auto done = below_.poll_done()) {
            const auto read = reads_.extract(done->ticket);
            if (!read) return done;
            if (read.mapped().refused) done->status = fail(Error::storage);
            if (read.mapped().until == 0) return done;
            late_.push_back({*done, read.mapped().until});
        }
        if (late_.empty() || late_.front().until > *now) return std::nullopt;
        const port::StorageDone done = late_.front().done;
        late_.erase(late_.begin());
        return done;
    }

private:
    struct Read {
        bool refused = false;
        std::int64_t until = 0;
    };
    struct Late {
        port::StorageDone done;
        std::int64_t until = 0;
    };
    std::map<std::uint64_t, Read> reads_;
    std::vector<Late> late_;
};

struct IllRig : Rig {
    Ill ill;
    explicit IllRig(SimStorage& below, StreamPolicy policy = {}) : Rig(below), ill(below) {
        ill.now = &now;
        log = make_faulty_log(ill, entropy, small_config(), {});
        REQUIRE(open());
        REQUIRE(log->declare_stream(1, policy));
    }
    ~IllRig() { log.reset(); }
};

}  // namespace

// Its copies and what they were made of are free again soon: that is no want of room.
TEST_CASE("cleaner: what it has taken for a slow run is no reason to drop what nobody needs gone") {
    SimStorage device({.seed = 1, .size = half_log});
    IllRig rig(device, {.when_full = WhenFull::drop_oldest});
    std::uint64_t count = 0;
    rig.ill.late_ms = 3'000;  // as cards do where a read comes at the tenth try
    // Kept are a segment for the next checkpoint and three; two more, and room is short.
    while (rig.log->status().segments_free > 7) {
        REQUIRE(rig.append_durably(1, lone(count++)));
        rig.pass(1);
        REQUIRE(count < 1'000);
    }
    REQUIRE(rig.log->counters().cleaner_freed == 0);
    std::uint32_t fewest = 7;
    for (int i = 0; i < 1'200; ++i) {
        rig.pass(100);
        fewest = std::min(fewest, rig.log->status().segments_free);
    }
    CHECK(fewest <= 6);
    CHECK(rig.log->counters().cleaner_freed > 0);
    CHECK(rig.log->counters().dropped_records == 0);
    CHECK(rig.log->books(1).losses.empty());
    check_all(rig, count);
}

}  // namespace leat::log::test
