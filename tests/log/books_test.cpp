// The books: every offset in exactly one place, whatever happened, and after every restart.
#include <doctest/doctest.h>

#include <cstdio>

#include "broker/log/books.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("books: random histories add up, before and after being written, and entries stay few") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        SimRandom random(seed);
        StreamBook book;
        Offset end = 0;
        for (int step = 0; step < 120; ++step) {
            const auto some = static_cast<Offset>(1 + random.below(30));
            const auto inside = [&] {
                return book.log_start() +
                       static_cast<Offset>(
                           random.below(static_cast<std::uint64_t>(end - book.log_start() + 1)));
            };
            const StreamBook::Stamp when{static_cast<std::uint64_t>(step), -1};
            switch (random.below(6)) {
                case 0:
                    book.lost(LossReason::raised, end, end + some, 0, when);
                    end += some;
                    break;
                case 1:
                    book.freed(static_cast<Freed>(random.below(3)), inside(), 10);
                    break;
                case 2:
                    book.dropped(random.chance(50) ? LossReason::no_room : LossReason::expired,
                                 inside(), 10, when);
                    break;
                case 3: {
                    const Offset from = inside();
                    book.lost(LossReason::damaged, from, std::min(end, from + some), 10, when);
                    break;
                }
                default:
                    end += some;
            }
            const Offset release = inside();
            const Books books = book.view(end, release);
            INFO("seed=", seed, " step=", step, " sum=", books.sum(), " end=", end);
            REQUIRE(books.balanced());
            REQUIRE(books.losses.size() <= losses_max);
            for (std::size_t i = 0; i + 1 < books.losses.size(); ++i)
                REQUIRE(books.losses[i].to <= books.losses[i + 1].from);
            for (const Loss& loss : books.losses)
                REQUIRE(loss.records <= static_cast<std::uint64_t>(loss.to - loss.from));
            const std::string bytes = book.encode();
            const auto again = StreamBook::decode(bytes_of(bytes));
            REQUIRE(again);
            REQUIRE(again->encode() == bytes);
            REQUIRE(again->view(end, release).sum() == books.sum());
        }
    }
}

TEST_CASE("books: neighbours of one reason merge, others do not") {
    StreamBook book;
    book.dropped(LossReason::no_room, 10, 100, {1, 5});
    book.dropped(LossReason::no_room, 30, 200, {2, 6});
    book.dropped(LossReason::expired, 31, 1, {3, 7});
    const Books books = book.view(40, 0);
    REQUIRE(books.losses.size() == 2);
    CHECK(books.losses[0].from == 0);
    CHECK(books.losses[0].to == 30);
    CHECK(books.losses[0].records == 30);
    CHECK(books.losses[0].bytes == 300);
    CHECK(books.losses[0].events == 2);
    CHECK(books.losses[0].first_age_ms == 1);
    CHECK(books.losses[0].wall_ms == 6);
    CHECK(books.losses[1].reason == LossReason::expired);
    CHECK(books.kept_buffered == 9);
}

TEST_CASE("books: what awaits a checkpoint is taken back if a crash comes first, and only then") {
    using After = StreamBook::After;
    const auto superseded = [](const StreamBook& book) {
        const Books books = book.view(100, 0);
        CHECK(books.balanced());
        return books.freed[static_cast<std::size_t>(Freed::superseded)].records;
    };
    StreamBook book;
    book.superseded(10, 1'000, 7);
    CHECK(superseded(book) == 10);
    CHECK_FALSE(book.settle(6, After::checkpoint));  // not yet
    book.superseded(5, 500, 8);                      // 7 was begun, and given up
    const std::string bytes = book.encode();
    for (const std::uint64_t durable : {6u, 7u, 8u, 9u}) {
        Result<StreamBook> found = StreamBook::decode(bytes_of(bytes));
        REQUIRE(found);
        CHECK(found->settle(durable, After::crash) == (durable < 8));
        CHECK(superseded(*found) == (durable < 8 ? 0u : 15u));
        CHECK_FALSE(found->settle(0, After::crash));  // once and for all
    }
    CHECK_FALSE(book.settle(8, After::checkpoint));
    book.superseded(1, 100, 9);
    CHECK(book.settle(8, After::crash));
    CHECK(superseded(book) == 15);
    // The log start has passed some of them: those stay gone.
    book.superseded(40, 4'000, 9);
    book.freed(Freed::expired, 30, 3'000);
    CHECK(superseded(book) == 55);
    CHECK(book.settle(8, After::crash));
    CHECK(superseded(book) == 30);
    CHECK(book.view(100, 0).kept_buffered == 70);
}

TEST_CASE("books: damaged bytes of a book are refused, never believed") {
    StreamBook book;
    book.dropped(LossReason::no_room, 10, 100, {1, 5});
    std::string bytes = book.encode();
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
        CHECK_FALSE(StreamBook::decode(bytes_of(bytes).first(cut)));
    bytes[1] = 9;  // more entries than there may be
    CHECK_FALSE(StreamBook::decode(bytes_of(bytes)));
}

TEST_CASE("ledger: deletes, a raised end and an unclean stop are in the books after a restart") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 10; ++i)
            REQUIRE(rig.append_durably(1, {.count = 10, .salt = i}));
        REQUIRE(rig.log->set_log_start(rig.at(), 1, 25));
        REQUIRE(rig.log->raise_log_end(rig.at(), 1, 130));
        REQUIRE(rig.append_durably(1, {.count = 5, .salt = 99}));
        rig.log->set_release(1, 60);
        const Books books = rig.log->books(1);
        CHECK(books.balanced());
        CHECK(books.kept_delivered == 35);
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const Books books = rig.log->books(1);
    CHECK(books.balanced());
    CHECK(books.log_end == 135);
    CHECK(books.log_start == 25);
    CHECK(books.freed[static_cast<std::size_t>(Freed::deleted)].records == 25);
    REQUIRE(books.losses.size() == 1);
    CHECK(books.losses[0].reason == LossReason::raised);
    CHECK(books.losses[0].from == 100);
    CHECK(books.losses[0].to == 130);
    CHECK(books.losses[0].records == 30);
    CHECK(books.kept_buffered == 80);
    CHECK(rig.log->counters().unexplained_records == 0);
    const Books cuts = rig.log->books(no_stream);
    REQUIRE(cuts.losses.size() == 1);
    CHECK(cuts.losses[0].reason == LossReason::cut);
    rig.close();
    Rig third(device);  // a clean stop adds no cut
    REQUIRE(third.open());
    REQUIRE(third.log->books(no_stream).losses.size() == 1);
    CHECK(third.log->books(no_stream).losses[0].events == 1);
}

TEST_CASE("full: drop-oldest keeps taking records, by priority, and the books say what it cost") {
    SimStorage device({.seed = 1, .size = small_device});
    Books books[4];
    const auto declare = [](Rig& rig) {
        REQUIRE(rig.log->declare_stream(1, {.when_full = WhenFull::drop_oldest, .priority = 5}));
        REQUIRE(rig.log->declare_stream(2, {.when_full = WhenFull::drop_oldest, .priority = 9}));
        REQUIRE(rig.log->declare_stream(3, {}));
    };
    {
        Rig rig(device);
        REQUIRE(rig.open());
        declare(rig);
        // The alarms first: the oldest of all, and yet the last to go.
        for (std::uint64_t i = 0; i < 14; ++i)
            REQUIRE(rig.append_durably(2, {.count = 2, .size = 6'000, .salt = i}));
        std::uint64_t taken = 0, refused = 0;
        for (std::uint64_t i = 0; taken < 400 && refused < 5'000; ++i) {
            if (rig.append_durably(1, {.count = 3, .size = 6'000, .salt = i})) {
                ++taken;
            } else {
                ++refused;
                rig.pass(100);
            }
            REQUIRE(rig.log->books(1).balanced());
        }
        CHECK(taken == 400);  // three times what the device holds
        books[1] = rig.log->books(1);
        books[2] = rig.log->books(2);
        REQUIRE(books[1].losses.size() == 1);
        CHECK(books[1].losses[0].reason == LossReason::no_room);
        CHECK(books[1].losses[0].from == 0);
        CHECK(books[1].losses[0].to == books[1].log_start);
        CHECK(books[1].losses[0].records == static_cast<std::uint64_t>(books[1].log_start));
        CHECK(books[2].kept_buffered >= 20);
        CHECK(books[2].balanced());
        const auto all = rig.read_all(1, rig.log->stream(1)->log_start);
        CHECK_FALSE(all.error);
        CHECK(all.next == 1'200);
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    declare(rig);
    CHECK(rig.log->books(1).balanced());
    CHECK(rig.log->books(1).log_start >= books[1].log_start);
    CHECK(rig.log->books(2).balanced());
}

TEST_CASE("full: reject drops nothing, beside a stream that would") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {.when_full = WhenFull::drop_oldest}));
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < 1'000; ++i) {
        if (rig.append_durably(1, {.count = 1, .size = 6'000, .salt = i})) ++taken;
        (void)rig.append_durably(2, {.count = 1, .size = 100, .salt = i});
        if (i % 50 == 0) rig.pass(250);
    }
    CHECK(taken < 200);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(1).kept_buffered == taken);
    CHECK(rig.log->books(2).balanced());
}

TEST_CASE("full: of what is dropped the part that upstream has is no loss") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.when_full = WhenFull::drop_oldest}));
    rig.log->set_release(1, 0);
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < 2'000 && taken < 200; ++i) {
        if (rig.append_durably(1, {.count = 3, .size = 6'000, .salt = i}))
            ++taken;
        else
            rig.pass(100);
        if (taken == 5) rig.log->set_release(1, 10);  // inside the first segment, inside a batch
    }
    CHECK(taken == 200);
    const Books books = rig.log->books(1);
    CHECK(books.balanced());
    CHECK(books.freed[static_cast<std::size_t>(Freed::delivered)].records == 10);
    REQUIRE(books.losses.size() == 1);
    CHECK(books.losses[0].from == 10);
    CHECK(books.losses[0].to == books.log_start);
    // All bytes that went are accounted for, as far as a batch that is delivered by half allows.
    const std::uint64_t gone = books.losses[0].bytes +
                               books.freed[static_cast<std::size_t>(Freed::delivered)].bytes +
                               static_cast<std::uint64_t>(rig.log->stream(1)->bytes);
    CHECK(gone > 200 * 6'061 - 6'061);
    CHECK(gone < 200 * 6'061 + 6'061);
}

TEST_CASE("full: records in an older segment that must stay are dropped with their bytes counted") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.when_full = WhenFull::drop_oldest}));
    REQUIRE(rig.log->declare_stream(2, {}));
    // The first segment holds both, and the second stream lets nothing go.
    for (std::uint64_t i = 0; i < 4; ++i) {
        REQUIRE(rig.append_durably(1, {.count = 3, .size = 6'000, .salt = i}));
        REQUIRE(rig.append_durably(2, {.count = 3, .size = 6'000, .salt = i}));
    }
    std::uint64_t taken = 4;
    for (std::uint64_t i = 4; i < 2'000 && taken < 200; ++i) {
        if (rig.append_durably(1, {.count = 3, .size = 6'000, .salt = i}))
            ++taken;
        else
            rig.pass(100);
    }
    CHECK(taken == 200);
    const Books books = rig.log->books(1);
    CHECK(books.balanced());
    CHECK(rig.log->books(2).losses.empty());
    CHECK(rig.log->books(2).kept_buffered == 12);
    REQUIRE(books.losses.size() == 1);
    CHECK(books.losses[0].records == static_cast<std::uint64_t>(books.log_start));
    const std::uint64_t all =
        books.losses[0].bytes + static_cast<std::uint64_t>(rig.log->stream(1)->bytes);
    CHECK(all > 200 * 6'061 - 6'061);
    CHECK(all < 200 * 6'061 + 6'061);
}

TEST_CASE("ledger: what the upstream refused is a loss although it is kept, once, and for good") {
    SimStorage device({.seed = 3, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 3; ++i)
            REQUIRE(rig.append_durably(1, {.count = 10, .salt = i}));
        rig.log->enter_loss(rig.at(), 1, LossReason::refused, 10, 20, 77);
        rig.log->enter_loss(rig.at(), 1, LossReason::refused, 10, 20, 77);  // after a restart
        rig.log->enter_loss(rig.at(), 9, LossReason::refused, 10, 20, 77);  // no such stream
        REQUIRE(rig.append_durably(1, {.count = 10, .salt = 4}));
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    rig.log->set_release(1, 30);
    Books books = rig.log->books(1);
    CHECK(books.balanced());
    REQUIRE(books.losses.size() == 1);
    CHECK(books.losses[0].reason == LossReason::refused);
    CHECK(books.losses[0].from == 10);
    CHECK(books.losses[0].to == 20);
    CHECK(books.losses[0].bytes == 77);
    CHECK(books.losses[0].events == 1);
    CHECK(books.kept_delivered == 20);
    CHECK(books.kept_buffered == 10);
    REQUIRE(rig.log->set_log_start(rig.at(), 1, 25));
    books = rig.log->books(1);
    CHECK(books.balanced());
    CHECK(books.freed[static_cast<std::size_t>(Freed::deleted)].records == 15);
}

TEST_CASE("ledger: what goes with its topic is counted, in one entry, and survives a power cut") {
    SimStorage device({.seed = 3, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        rig.log->enter_loss(rig.at(), no_stream, LossReason::deleted, 0, 20, 77);
        rig.log->enter_loss(rig.at(), no_stream, LossReason::deleted, 0, 5, 3);
        CHECK(rig.log->counters().lost_records == 25);
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(1, {}));
    }
    device.power_cycle();
    for (int starts = 1; starts <= 2; ++starts) {  // beside cuts, which have an entry of their own
        Rig rig(device);
        REQUIRE(rig.open());
        const Books books = rig.log->books(no_stream);
        REQUIRE(books.losses.size() == 2);
        CHECK(books.losses[0].reason == LossReason::deleted);
        CHECK(books.losses[0].records == 25);
        CHECK(books.losses[0].bytes == 80);
        CHECK(books.losses[0].events == 2);
        CHECK(books.losses[1].reason == LossReason::cut);
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(1, {}));
        if (starts == 1) rig.close();
    }
}

TEST_CASE("bytes: what a stream keeps is known after every restart, and retention frees no more") {
    std::int64_t worst = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SimRandom random(seed);
        SimStorage device({.seed = seed, .size = 32 * KiB + 31 * 64 * KiB});
        constexpr std::int64_t keep = 512 * 1024;
        std::int64_t now = 1'000'000;
        for (int life = 0; life < 6; ++life) {
            Rig rig(device, small_config(), {}, seed * 100 + static_cast<std::uint64_t>(life));
            rig.now = now;
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {.retention_bytes = keep}));
            rig.log->set_release(1, INT64_MAX);
            const auto measure = [&] {
                const StreamState& state = *rig.log->stream(1);
                const auto all = rig.read_all(1, state.log_start);
                REQUIRE(!all.error);
                return std::pair(state.bytes, static_cast<std::int64_t>(all.bytes.size()));
            };
            const auto [told, real] = measure();
            INFO("seed ", seed, " life ", life, " told ", told, " real ", real);
            worst = std::max(worst, std::abs(told - real));
            CHECK(std::abs(told - real) <= 2 * small_segment);
            const std::uint64_t batches = 20 + random.below(120);
            for (std::uint64_t i = 0; i < batches; ++i) {
                (void)rig.append_durably(
                    1, {.count = 10, .size = 5'000 + random.below(20'000), .salt = i});
                if (random.chance(30)) rig.pass(static_cast<std::int64_t>(random.below(400)));
                if (random.chance(2))
                    (void)rig.log->set_log_start(
                        rig.at(), 1,
                        (rig.log->stream(1)->log_start + rig.log->stream(1)->flushed) / 2);
            }
            const Offset start = rig.log->stream(1)->log_start;
            for (int i = 0; i < 20; ++i) rig.pass(300);
            if (rig.log->stream(1)->log_start > start)
                CHECK(measure().second >= keep - small_segment);
            if (random.chance(30)) rig.close();
            device.power_cycle();
            now = rig.now;
        }
    }
    std::printf("bytes of a stream after a restart: at most %lld wrong\n",
                static_cast<long long>(worst));
}
