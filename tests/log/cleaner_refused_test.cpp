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
    bool to_the_cleaner_alone = false;  ///< all else that is wanted was read before
    std::uint64_t written_from = UINT64_MAX;  ///< a write in there makes it good
    std::map<std::uint64_t, std::uint64_t> refusals;  ///< by the page where a refused read began

    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        if (at <= written_from && written_from < at + bytes.size()) from = to = 0;
        return below_.start_write(ticket, at, bytes);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        const bool cleaner = Core::owner_of(ticket) == Owner::cleaner;
        const bool refused =
            at < to && from < at + into.size() && (cleaner || !to_the_cleaner_alone);
        if (refused) ++refusals[at / page];
        const bool late = late_ms > 0 && cleaner;
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
    std::uint64_t entered() const {
        std::uint64_t sum = 0;
        for (const Loss& loss : log->books(1).losses) sum += loss.records;
        return sum;
    }
};

/// Where the batch of lone(i) stands now, by its payload.
std::uint64_t place_of(const SimImage& image, std::uint64_t i) {
    return find(image, ByteView(make_batch(lone(i))).subspan(61, 64));
}

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

TEST_CASE("cleaner: a device that refuses reads for a while costs nothing") {
    for (const bool alone : {false, true})
        for (const std::int64_t seconds : {5, 30, 50, 300}) {
            if (alone && seconds > 60) continue;  // others are answered: that is lost
            INFO("away for ", seconds, " s, for the cleaner alone ", alone);
            SimStorage device({.seed = 1, .size = half_log});
            IllRig rig(device);
            std::uint64_t count = 0;
            while (rig.log->status().segments_free > 8) {
                REQUIRE(rig.append_durably(1, lone(count++)));
                rig.pass(100);
            }
            rig.ill.to = device.image().size();
            rig.ill.to_the_cleaner_alone = alone;
            for (std::int64_t i = 0; i < seconds * 10; ++i) {
                if (i % 10 == 0 && rig.append_durably(1, lone(count))) ++count;
                rig.pass(100);
            }
            CHECK(rig.ill.refusals.size() >= 3);
            const std::uint64_t freed = rig.log->counters().cleaner_freed;
            rig.ill.to = 0;
            count = fill_up(rig, count);
            CHECK(rig.log->counters().cleaner_freed > freed);
            CHECK(count >= 1'500);  // all of it is packed: 32 segments hold 300 that are not
            check_all(rig, count);
            CHECK(rig.log->books(1).losses.empty());
            CHECK(rig.log->books(1).balanced());
        }
}

TEST_CASE("cleaner: of a sector that is gone exactly its batches are lost, after a minute") {
    for (const std::uint64_t sector_at : {20u, 40u, 41u, 75u}) {
        INFO("under batch ", sector_at);
        SimStorage device({.seed = 1, .size = half_log});
        IllRig rig(device);
        std::uint64_t count = 0;
        for (; count < 120; rig.pass(100)) REQUIRE(rig.append_durably(1, lone(count++)));
        rig.ill.from = rig.ill.written_from = place_of(device.image(), sector_at) / page * page;
        rig.ill.to = rig.ill.from + page;
        const std::uint32_t bad_page = static_cast<std::uint32_t>(rig.ill.from / page);
        std::int64_t first = 0, given_up = 0, freed = 0;
        for (int refused = 0; refused < 3'000; rig.pass(100)) {
            refused = rig.append_durably(1, lone(count)) ? 0 : refused + 1;
            count += refused == 0 ? 1 : 0;
            if (first == 0 && !rig.ill.refusals.empty()) first = rig.now;
            if (freed == 0 && rig.log->counters().cleaner_freed > 0) freed = rig.now;
            if (given_up == 0 && rig.entered() > 0) given_up = rig.now;
        }
        CHECK(rig.ill.to == 0);  // its segment has another life
        CHECK(first > 0);
        CHECK(given_up - first >= 60'000);
        CHECK(given_up - first < 150'000);
        CHECK(freed < given_up);  // the others did not wait for it
        CHECK(rig.ill.refusals[bad_page] < 40);
        CHECK(rig.entered() == 1);
        CHECK(rig.log->books(1).balanced());
        std::size_t errors = 0;
        const std::vector<Offset> bases = read_over(rig, 1, errors);
        CHECK(errors == 0);
        CHECK(bases.size() + 1 == count);
        CHECK(std::find(bases.begin(), bases.end(), static_cast<Offset>(sector_at)) ==
              bases.end());
    }
}

// Nobody reads and nothing more goes in: whatever the cleaner learns it asks for itself.
TEST_CASE("cleaner: a full log whose victims cannot be read is no dead end") {
    SimStorage device({.seed = 1, .size = pool + 16 * std::uint64_t{small_segment}});
    IllRig rig(device);
    std::uint64_t count = 0;
    for (; count < 60; rig.pass(100)) REQUIRE(rig.append_durably(1, lone(count++)));
    std::vector<std::uint64_t> gone;
    rig.ill.from = place_of(device.image(), 16) / page * page;
    rig.ill.to = rig.ill.from + 3 * page;
    for (std::uint64_t i = 0; i < count; ++i)
        if (const std::uint64_t at = place_of(device.image(), i);
            rig.ill.from <= at && at < rig.ill.to)
            gone.push_back(i);
    REQUIRE(gone.size() == 3);
    for (std::uint32_t i = 0; i < 2'400; ++i) {
        if (rig.append_durably(1, lone(count))) ++count;
        rig.pass(100);
        if (rig.entered() == 3) rig.ill.to = 0;  // else what comes to lie there next is lost as well
    }
    CHECK(rig.entered() == 3);
    CHECK(rig.log->books(1).balanced());
    CHECK(rig.append_durably(1, lone(count)) ==
          (rig.log->stream(1)->log_end == static_cast<Offset>(count + 1)));
    rig.ill.to = 0;
    std::size_t errors = 0;
    const std::vector<Offset> bases = read_over(rig, 1, errors);
    CHECK(errors == 0);
    for (const std::uint64_t one : gone)
        CHECK(std::find(bases.begin(), bases.end(), static_cast<Offset>(one)) == bases.end());
    CHECK(bases.size() + 3 == static_cast<std::size_t>(rig.log->stream(1)->log_end));
}

}  // namespace leat::log::test
