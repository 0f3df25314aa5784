// The cleaner among damage, and with batches longer than what it reads at a time.
#include <doctest/doctest.h>

#include <set>

#include "tests/log/lone.hpp"
#include "tests/log/planted.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {
constexpr std::uint64_t pool_start = 32 * KiB;
}

TEST_CASE("cleaner: what does not hold once only is copied, not lost") {
    SimStorage made({.seed = 1, .size = pool_start + 32 * 64 * KiB});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(rig.append_durably(1, lone(i)));
        rig.close();
    }
    // The device gives one wrong bit, in the first read of the segment by the cleaner.
    class Flipping final : public leat::test::StorageOver {
    public:
        explicit Flipping(SimStorage& below) : StorageOver(below) {}
        Status start_read(std::uint64_t ticket, std::uint64_t at,
                          std::span<std::uint8_t> into) override {
            if (Core::owner_of(ticket) == Owner::cleaner && flips == 0 && into.size() > 8'192) {
                flips_ = ticket;
                into_ = into;
            }
            return below_.start_read(ticket, at, into);
        }
        std::optional<port::StorageDone> poll_done() override {
            const auto done = below_.poll_done();
            if (done && flips_ != 0 && done->ticket == flips_) {
                into_[4096 + 300] ^= 4;
                flips_ = 0;
                ++flips;
            }
            return done;
        }
        int flips = 0;

    private:
        std::uint64_t flips_ = 0;
        std::span<std::uint8_t> into_;
    };
    Flipping device(made);
    Rig rig(made);
    rig.log = make_faulty_log(device, rig.entropy, small_config(), {});
    REQUIRE(rig.open());
    declare_both(rig);
    const std::uint64_t count = fill_up(rig, 200);
    CHECK(device.flips == 1);
    CHECK(rig.log->counters().cleaner_freed > 0);
    check_all(rig, count);
    CHECK(rig.log->books(1).losses.empty());
}

TEST_CASE("cleaner: a page that the device does not read any more costs what lies on it") {
    SimStorage made({.seed = 1, .size = pool_start + 32 * 64 * KiB});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(rig.append_durably(1, lone(i)));
        rig.close();
    }
    class BadPage final : public leat::test::StorageOver {
    public:
        explicit BadPage(SimStorage& below) : StorageOver(below) {}
        Status start_write(std::uint64_t ticket, std::uint64_t at,
                           std::span<const std::uint8_t> bytes) override {
            if (at <= bad && bad < at + bytes.size()) bad = UINT64_MAX;  // written anew: mapped
            return below_.start_write(ticket, at, bytes);
        }
        Status start_read(std::uint64_t ticket, std::uint64_t at,
                          std::span<std::uint8_t> into) override {
            if (at <= bad && bad < at + into.size()) refused_.insert(ticket);
            return below_.start_read(ticket, at, into);
        }
        std::optional<port::StorageDone> poll_done() override {
            auto done = below_.poll_done();
            if (done && refused_.erase(done->ticket) > 0) done->status = fail(Error::storage);
            return done;
        }
        std::uint64_t bad = pool_start + 3 * small_segment + 6 * 4096;

    private:
        std::set<std::uint64_t> refused_;
    };
    BadPage device(made);
    Rig rig(made);
    rig.log = make_faulty_log(device, rig.entropy, small_config(), {});
    REQUIRE(rig.open());
    declare_both(rig);
    std::uint64_t count = fill_up(rig, 200);
    for (int second = 0; second < 150; ++second) rig.pass(1'000);  // until it is lost
    count = fill_up(rig, count);
    CHECK(device.bad == UINT64_MAX);  // the segment has another life
    std::size_t errors = 0;
    const std::size_t read = read_over(rig, 1, errors).size();
    CHECK(errors == 0);
    CHECK(read + 1 == count);
    const Books books = rig.log->books(1);
    CHECK(books.balanced());
    std::uint64_t entered = 0;
    for (const Loss& loss : books.losses) entered += loss.records;
    CHECK(entered == count - read);
}

namespace {

constexpr std::uint32_t mid_segment = 4 * MiB;

LogConfig mid_config() {
    LogConfig config = small_config();
    config.segment_bytes = mid_segment;
    config.recent_bytes = 1 * MiB;
    return config;
}
BatchSpec large(std::uint64_t i) { return {.count = 100, .size = 1'000'000, .salt = 5'000 + i}; }

/// Batch after batch, all of `count`.
void check_large(Rig& rig, std::uint64_t count) {
    std::vector<std::uint8_t> into(large(0).size + batch_header_bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
        INFO("batch ", i);
        const auto from = static_cast<Offset>(i * 100);
        const auto ticket = rig.log->start_read(
            rig.at(), {.stream = 1, .from = from, .until = from + 1}, into);
        REQUIRE(ticket);
        std::optional<ReadDone> done;
        for (int k = 0; k < 10'000 && !(done = rig.log->poll_read()); ++k)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        const auto expect = sent(large(i), from);
        REQUIRE(*done->bytes == expect.size());
        CHECK(equal(ByteView(into).first(12), ByteView(expect).first(12)));
        CHECK(equal(ByteView(into).subspan(16), ByteView(expect).subspan(16)));
    }
}

/// A batch of a megabyte in each segment is kept, what lies around it goes. Returns how many were
/// sent before nothing more went in.
std::uint64_t send_large(Rig& rig, std::uint64_t count) {
    std::uint64_t sent_large = 0;
    for (int refused = 0; sent_large < count && refused < 300;) {
        if (!rig.append_durably(1, large(sent_large))) {
            ++refused;
            rig.pass(100);
            continue;
        }
        ++sent_large;
        for (int i = 0; i < 30 && refused < 300;) {
            if (rig.append_durably(2, {.size = 100'000, .salt = 3})) {
                ++i;
            } else {
                ++refused;
                rig.pass(100);
            }
            rig.pass(20);
        }
    }
    return sent_large;
}

}  // namespace

TEST_CASE("cleaner: batches of a megabyte are packed, a block at a time") {
    SimStorage device({.seed = 1, .size = pool_start + 24 * std::uint64_t{mid_segment}});
    Watched watched(device);
    {
        Rig rig(device, mid_config());
        rig.log = make_faulty_log(watched, rig.entropy, mid_config(), {});
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {.retention_bytes = 3'000'000}));
        rig.log->set_release(2, INT64_MAX);
        CHECK(send_large(rig, 40) == 40);  // 24 segments: without packing 19 or so
        CHECK(rig.log->counters().cleaner_freed > 10 * std::uint64_t{mid_segment});
        CHECK(watched.most == 1);
        CHECK(watched.largest <= cleaner_block_bytes + 2 * 4096);
        check_large(rig, 40);
    }
    device.power_cycle();
    Rig rig(device, mid_config());
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {.retention_bytes = 3'000'000}));
    check_large(rig, 40);
}

TEST_CASE("cleaner: a power cut between the pieces of a large batch leaves the one there was") {
    SimStorage device({.seed = 1, .size = pool_start + 16 * std::uint64_t{mid_segment}});
    Watched watched(device);
    Rig rig(device, mid_config());
    rig.log = make_faulty_log(watched, rig.entropy, mid_config(), {});
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {.retention_bytes = 3'000'000}));
    rig.log->set_release(2, INT64_MAX);
    SimRandom random(9);
    std::uint64_t durable = 0, cuts = 0, since = 0;
    watched.on_own_write = [&] {
        if (++since % 7 != 0 || cuts >= 40) return;
        ++cuts;
        INFO("cut ", cuts);
        SimStorage again({.seed = 3}, device.crash_image(static_cast<Tear>(cuts % 9), random));
        Rig after(again, mid_config());
        REQUIRE(after.open());
        REQUIRE(after.log->declare_stream(1, {}));
        REQUIRE(after.log->stream(1)->log_end >= static_cast<Offset>(durable * 100));
        check_large(after, durable);
    };
    for (; durable < 14; ++durable) {
        REQUIRE(rig.append_durably(1, large(durable)));
        for (int i = 0; i < 30; ++i) {
            int refused = 0;
            while (!rig.append_durably(2, {.size = 100'000, .salt = 3})) {
                REQUIRE(++refused < 300);
                rig.pass(100);
            }
            rig.pass(20);
        }
    }
    CHECK(cuts >= 20);
}
