// Damage that a read meets: it costs its batch and nothing else, and the ledger has it.
#include "tests/log/planted.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE(
    "damage: one bit anywhere in a batch or its frame costs that batch, and is in the ledger") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    SimRandom random(11);
    std::size_t tried = 0;
    for (std::size_t i = 0; i < planted.size() - 12; i += 4) {  // the last ones are the open tail
        const Planted& hit = planted[i];
        const std::uint64_t records = find(made.image(), ByteView(hit.batch).subspan(61, 64));
        const std::uint64_t frame = records - 61 - 24;
        const std::uint64_t at = frame + (random.chance(50) ? random.below(24 + 61)
                                                            : random.below(24 + hit.batch.size()));
        SimStorage device({.seed = 2}, made.image());
        std::uint8_t byte = 0;
        device.image().read(at, {&byte, 1});
        byte ^= static_cast<std::uint8_t>(1u << random.below(8));
        device.image().write(at, {&byte, 1});
        INFO("batch ", i, " stream ", hit.stream, " from ", hit.from, " byte ", at - frame);
        const auto check = [&](Rig& rig) {
            const Books books = rig.log->books(hit.stream);
            CHECK(books.balanced());
            REQUIRE(books.losses.size() == 1);
            CHECK(books.losses[0].reason == LossReason::damaged);
            CHECK(books.losses[0].from == hit.from);
            CHECK(books.losses[0].to == hit.to);
            CHECK(books.losses[0].records == 4);
            CHECK(rig.log->books(3 - hit.stream).losses.empty());
        };
        {
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            if (rig.log->books(hit.stream).losses.empty()) {
                std::size_t errors = 0;
                const auto own = read_over(rig, hit.stream, errors);
                const auto other = read_over(rig, 3 - hit.stream, errors);
                CHECK(errors <= 1);  // 0: the start saw it already
                CHECK(own.size() + other.size() == planted.size() - 1);
                CHECK(std::find(own.begin(), own.end(), hit.from) == own.end());
                (void)read_over(rig, hit.stream, errors);  // seen twice, counted once
            }
            check(rig);
            rig.pass(1'000);
            rig.close();
        }
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        check(rig);
        ++tried;
    }
    CHECK(tried > 60);
}

TEST_CASE("damage: a read that the device fails once costs nothing") {
    SimStorage made({.seed = 1, .size = twice_small});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        (void)fill(rig);
        rig.close();
    }
    // Reads at and after the n-th after the start: one of them fails.
    for (std::uint64_t fails = 2; fails < 12; ++fails) {
        SimStorage device({.seed = 2}, made.image());
        std::uint64_t at_open = 0;
        {
            Rig probe(device);
            REQUIRE(probe.open());
            at_open = device.counts().reads;
        }
        SimStorage bad({.seed = 2, .fail_read_at = at_open + fails}, made.image());
        Rig rig(bad);
        REQUIRE(rig.open());
        declare_both(rig);
        std::size_t errors = 0;
        const auto own = read_over(rig, 1, errors);
        CHECK(errors == 0);
        CHECK(own.size() == 180);
        const Books books = rig.log->books(1);
        CHECK(books.balanced());
        CHECK(books.losses.empty());
    }
}

// The last record of a stream: nothing behind it tells how far the stream went.
TEST_CASE("damage: under a seal it is in the ledger, and no offset is given twice") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (std::size_t i = planted.size() - 2; i < planted.size(); ++i) {
        const Planted& hit = planted[i];
        INFO("stream ", hit.stream, " from ", hit.from);
        const std::uint64_t at = find(made.image(), ByteView(hit.batch).subspan(61, 64)) + 40;
        SimStorage device({.seed = 2}, made.image());
        std::uint8_t byte = 0;
        device.image().read(at, {&byte, 1});
        byte ^= 16;
        device.image().write(at, {&byte, 1});
        for (int start = 0; start < 2; ++start) {
            Rig rig(device);
            REQUIRE(rig.open());
            CHECK(rig.log->status().was_sealed);
            declare_both(rig);
            const Books books = rig.log->books(hit.stream);
            CHECK(books.balanced());
            REQUIRE(books.losses.size() == 1);
            CHECK(books.losses[0].reason == LossReason::damaged);
            CHECK(books.losses[0].from == hit.from);
            CHECK(books.losses[0].to == hit.to);
            CHECK(rig.log->books(3 - hit.stream).losses.empty());
            if (start == 0) {
                CHECK(rig.log->stream(hit.stream)->log_end == hit.to);
                CHECK(rig.read_all(hit.stream, hit.from).bytes.empty());
                REQUIRE(rig.append_durably(hit.stream, {.count = 4}));
            }
            auto all = rig.read_all(hit.stream, hit.from);
            if (all.error) {
                CHECK(*all.error == Error::corrupt);
                CHECK(all.next == hit.to);
                all = rig.read_all(hit.stream, all.next);
            }
            CHECK(base_offsets(all.bytes) == std::vector<Offset>{hit.to});
            rig.close();
        }
    }
}
