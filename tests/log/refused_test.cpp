// Reads that the device refuses: for a moment, for minutes, for good. What is whole is never given
// up for it, and of what is gone no more than its page.
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::size_t for_ever = SIZE_MAX;

/// A log on a device that refuses reads.
struct Refusing : Rig {
    Poor poor;
    explicit Refusing(SimStorage& below, LogConfig config = small_config())
        : Rig(below), poor(below) {
        log = make_log(poor, entropy, std::move(config));
        REQUIRE(open());
        declare_both(*this);
    }
    ~Refusing() { log.reset(); }
    void away(std::size_t reads) {
        poor.away_to = device.image().size();
        poor.away_reads = reads;
    }
    /// Somebody who reads a stream, and comes again a second later when he gets nothing.
    struct Reader {
        StreamId stream = 1;
        Offset at = 0;
        std::vector<Offset> bases{};
        std::uint64_t corrupt = 0, refused = 0;
        std::int64_t lost_at = 0;  ///< when he was first told that something is lost
    };
    /// false: he is to come again.
    bool read(Reader& reader) {
        while (reader.at < log->stream(reader.stream)->flushed) {
            const auto all = read_all(reader.stream, reader.at);
            const auto bases = base_offsets(all.bytes);
            reader.bases.insert(reader.bases.end(), bases.begin(), bases.end());
            if (!all.error) {
                REQUIRE(all.next > reader.at);
                reader.at = all.next;
            } else if (*all.error == Error::corrupt) {
                REQUIRE(all.next > reader.at);
                reader.at = all.next;
                if (reader.corrupt++ == 0) reader.lost_at = now;
            } else {
                REQUIRE(*all.error == Error::storage);
                CHECK(all.next >= reader.at);
                reader.at = all.next;
                ++reader.refused;
                return false;
            }
        }
        return true;
    }
    /// returns  how many seconds that took
    std::int64_t drain(Reader& reader, std::int64_t seconds_max = 600) {
        const std::int64_t begun = now;
        while (!read(reader) && now - begun < seconds_max * 1'000) pass(1'000);
        return (now - begun) / 1'000;
    }
    void check_whole() {
        for (const StreamId id : {1u, 2u}) {
            CHECK(log->books(id).losses.empty());
            CHECK(log->books(id).balanced());
        }
        CHECK(log->counters().damaged_batches == 0);
    }
    Result<TimeDone::Found> find_time(StreamId id, std::int64_t target) {
        REQUIRE(log->start_find_time(at(), id, target));
        std::optional<TimeDone> found;
        for (int i = 0; i < 1'000 && !(found = log->poll_find_time()); ++i) log->on_storage(at());
        REQUIRE(found);
        return found->found;
    }
};

/// Where the batches of a planted log stand, frame and all.
struct Standing {
    const Planted* batch;
    std::uint64_t from, to;
};
std::vector<Standing> standing(const SimImage& image, const std::vector<Planted>& planted) {
    std::vector<Standing> all;
    for (const Planted& one : planted) {
        const std::uint64_t records = find(image, ByteView(one.batch).subspan(61, 64));
        all.push_back({&one, records - 61 - 24, records - 61 + one.batch.size()});
    }
    return all;
}

}  // namespace

TEST_CASE("refused: a device that is away for any number of reads costs nothing but time") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (const std::size_t reads : {1, 2, 3, 5, 8, 20, 60, 300}) {
        INFO("away for ", reads, " reads");
        SimStorage device({.seed = 2}, made.image());
        Refusing rig(device);
        rig.away(reads);
        Refusing::Reader one{.stream = 1}, two{.stream = 2};
        (void)rig.drain(one);
        (void)rig.drain(two);
        CHECK(rig.poor.away_reads == 0);
        CHECK(one.bases.size() + two.bases.size() == planted.size());
        CHECK(one.corrupt + two.corrupt == 0);
        rig.check_whole();
    }
}

TEST_CASE("refused: a sector that is bad for good costs the batches of its page, after a minute") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    const std::vector<Standing> all = standing(made.image(), planted);
    std::uint64_t costly = 0;
    for (std::uint64_t at = all[40].from / page * page; at < all[40].from + 12 * page; at += page) {
        const bool commits = at / page % 2 == 0;  // else the device gives other places
        SimStorage device({.seed = 2}, made.image());
        std::vector<Offset> gone[3];
        for (const Standing& one : all)
            if (one.from < at + page && at < one.to)
                gone[one.batch->stream].push_back(one.batch->from);
        INFO("page at ", at, commits ? ", with commits" : ", without commits");
        Refusing rig(device);
        rig.poor.bad_sector = at + 512;
        Refusing::Reader readers[2] = {{.stream = 1}, {.stream = 2}};
        const std::int64_t begun = rig.now;
        for (int second = 0; second < 200; ++second) {
            bool done = true;
            for (Refusing::Reader& reader : readers) done = rig.read(reader) && done;
            if (done) break;
            CHECK(second < 150);
            if (commits) REQUIRE(rig.log->put_fact(rig.at(), FactKind::node, bytes_of("n"),
                                                   bytes_of(std::to_string(second))));
            rig.pass(1'000);
        }
        for (const Refusing::Reader& reader : readers) {
            const auto& lost = gone[reader.stream];
            costly += lost.size();
            CHECK((reader.corrupt > 0) == !lost.empty());
            if (reader.corrupt > 0) CHECK(reader.lost_at - begun >= 60'000);
            std::vector<Offset> expected;
            for (const Standing& one : all)
                if (one.batch->stream == reader.stream &&
                    std::find(lost.begin(), lost.end(), one.batch->from) == lost.end())
                    expected.push_back(one.batch->from);
            CHECK(reader.bases == expected);
            const Books books = rig.log->books(reader.stream);
            CHECK(books.balanced());
            std::uint64_t entered = 0;
            for (const Loss& loss : books.losses) entered += loss.records;
            CHECK(entered == 4 * lost.size());
        }
    }
    CHECK(costly >= 12);
}

TEST_CASE("refused: a start is patient anew") {
    SimStorage device({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(device);
    const std::uint64_t bad = standing(device.image(), planted)[40].from + 100;
    for (int life = 0; life < 3; ++life) {
        Refusing rig(device);
        rig.poor.bad_sector = bad;
        Refusing::Reader one{.stream = 1}, two{.stream = 2};
        for (int second = 0; second < 58; ++second) {
            (void)rig.read(one);
            (void)rig.read(two);
            rig.pass(1'000);
        }
        CHECK(one.refused + two.refused > 50);
        rig.check_whole();
    }
}

TEST_CASE("refused: a place that comes back is whole, however long one waits in between") {
    SimStorage device({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(device);
    const std::uint64_t bad = standing(device.image(), planted)[40].from + 100;
    Refusing rig(device);
    for (int i = 0; i < 20; ++i) {  // a moment each, and minutes in between
        rig.poor.bad_sector = i % 2 == 0 ? bad : UINT64_MAX;
        Refusing::Reader one{.stream = 1}, two{.stream = 2};
        for (int second = 0; second < 5; ++second) {
            (void)rig.read(one);
            (void)rig.read(two);
            rig.pass(1'000);
        }
        rig.pass(300'000);
    }
    rig.check_whole();
}

TEST_CASE("refused: a bit that flips on the way is no damage") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    class Flipping final : public leat::test::StorageOver {
    public:
        explicit Flipping(SimStorage& below) : StorageOver(below) {}
        Status start_read(std::uint64_t ticket, std::uint64_t at,
                          std::span<std::uint8_t> into) override {
            if (wanted > 0 && --wanted == 0) ticket_ = ticket, into_ = into;
            return below_.start_read(ticket, at, into);
        }
        std::optional<port::StorageDone> poll_done() override {
            const auto done = below_.poll_done();
            if (done && ticket_ != 0 && done->ticket == ticket_) {
                into_[into_.size() / 3] ^= 4;
                ticket_ = 0;
            }
            return done;
        }
        int wanted = 0;  ///< the so-many-th read from now

    private:
        std::uint64_t ticket_ = 0;
        std::span<std::uint8_t> into_;
    };
    for (int read = 1; read < 30; ++read) {
        INFO("read ", read);
        SimStorage device({.seed = 2}, made.image());
        Flipping flipping(device);
        Rig rig(device);
        rig.log = make_log(flipping, rig.entropy, small_config());
        REQUIRE(rig.open());
        declare_both(rig);
        flipping.wanted = read;
        std::size_t errors = 0;
        CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() ==
              planted.size());
        CHECK(errors == 0);
        CHECK(flipping.wanted == 0);
        CHECK(rig.log->books(1).losses.empty());
        CHECK(rig.log->books(2).losses.empty());
        rig.log.reset();
    }
}

TEST_CASE("refused: where each refusal takes seconds a read asks for no place again") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (const bool all : {false, true}) {
        SimStorage device({.seed = 2}, made.image());
        Refusing rig(device);
        rig.poor.slow = true;
        rig.poor.away_from = standing(device.image(), planted)[40].from / (16 * KiB) * (16 * KiB);
        rig.poor.away_to = rig.poor.away_from + (all ? device.image().size() : 48 * KiB);
        rig.poor.away_reads = for_ever;
        std::vector<std::uint8_t> into(256 * KiB);
        Offset at = 0;
        for (int reads = 0; reads < 12; ++reads) {
            REQUIRE(rig.log->start_read(rig.at(), {.stream = 1, .from = at, .until = INT64_MAX},
                                        into));
            std::optional<ReadDone> done;
            int steps = 0;
            for (; steps < 400 && !(done = rig.log->poll_read()); ++steps) {
                rig.now += 2'000;
                rig.log->on_storage(rig.at());
            }
            CHECK(steps < 300);
            REQUIRE(done);
            at = done->next;
        }
    }
}

TEST_CASE("refused: a look for a time answers nothing that a page in doubt may know better") {
    SimStorage device({.seed = 1, .size = pool + 64 * small_segment});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        for (std::uint64_t i = 0; i < 200; ++i)
            REQUIRE(rig.append_durably(1, {.size = 9'000,
                                           .salt = i,
                                           .timestamp = static_cast<std::int64_t>(1'000 + i)}));
        rig.close();
    }
    Refusing rig(device);
    rig.away(for_ever);
    for (int second = 0; second < 30; ++second) {
        for (const std::int64_t target : {1'000, 1'050, 1'100}) {
            const auto found = rig.find_time(1, target);
            REQUIRE(!found);
            CHECK(found.error() == Error::storage);
        }
        rig.pass(1'000);
    }
    rig.away(0);
    rig.pass(20'000);
    for (const std::int64_t target : {1'000, 1'050, 1'100}) {
        const auto found = rig.find_time(1, target);
        REQUIRE(found);
        CHECK(found->offset == target - 1'000);
    }
    rig.check_whole();
}

// Its data is asked for by the scrubber, then record by record by the reader.
TEST_CASE("refused: the scrubber enters no loss for what comes back within a minute") {
    SimStorage device({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(device);
    LogConfig config = small_config();
    config.scrub_every = milliseconds(1);
    Refusing rig(device, config);
    rig.poor.bad_sector = standing(device.image(), planted)[40].from + 100;
    rig.settle();
    rig.pass(60'000);
    const std::uint64_t begun = rig.log->counters().scrubbed;
    for (int i = 0; i < 600; ++i) rig.pass(63);
    CHECK(rig.log->counters().scrubbed > begun + 16 * small_segment);  // the rest does not wait
    CHECK(rig.log->status().damaged.empty());
    rig.check_whole();
    SUBCASE("and goes on when it is back") {
        rig.poor.bad_sector = UINT64_MAX;
        const std::uint64_t before = rig.log->counters().scrubbed;
        for (int i = 0; i < 600; ++i) rig.pass(100);
        CHECK(rig.log->counters().scrubbed > before + 16 * small_segment);
        CHECK(rig.log->status().damaged.empty());
        rig.check_whole();
    }
    SUBCASE("and does for what does not") {
        for (int i = 0; i < 2'000; ++i) rig.pass(100);
        REQUIRE(rig.log->status().damaged.size() >= 1);
        CHECK(rig.log->status().damaged[0].what == DamagedPlace::What::unreadable);
        CHECK(rig.log->books(1).losses.size() + rig.log->books(2).losses.size() > 0);
    }
}

TEST_CASE("refused: a superblock that is not given is told when that lasts") {
    for (const bool back : {false, true}) {
        SimStorage device({.seed = 1, .size = twice_small});
        (void)plant(device);
        LogConfig config = small_config();
        config.scrub_every = milliseconds(1);
        Refusing rig(device, config);
        rig.poor.bad_sector = 100;
        rig.settle();
        rig.pass(60'000);
        for (int i = 0; i < 400; ++i) rig.pass(100);
        CHECK(rig.log->status().damaged.empty());
        rig.poor.bad_sector = back ? UINT64_MAX : 100;
        for (int i = 0; i < 1'200; ++i) rig.pass(100);
        REQUIRE(rig.log->status().damaged.size() == (back ? 0 : 1));
        if (!back) CHECK(rig.log->status().damaged[0].what == DamagedPlace::What::unreadable);
        if (!back) CHECK(rig.log->status().damaged[0].device_position == 0);
        rig.check_whole();
    }
}

TEST_CASE("refused: three tries over a minute, with something done in between, and one at least") {
    const auto at = [](std::int64_t ms) { return instant_ms(1'000'000 + ms); };
    SUBCASE("one a second") {
        Refusal refusal;
        for (std::int64_t s = 0; s < 60; ++s)
            CHECK_FALSE(refusal.again(at(s * 1'000), static_cast<std::uint64_t>(s)));
        CHECK(refusal.again(at(60'000), 60));
        CHECK(refusal.again(at(60'001), 60));
    }
    SUBCASE("of a device that does nothing") {
        Refusal refusal;
        for (std::int64_t s = 0; s < 6'000; ++s) CHECK_FALSE(refusal.again(at(s * 1'000), 7));
    }
    SUBCASE("an old one and a few at once") {
        Refusal refusal;
        CHECK_FALSE(refusal.again(at(0), 0));
        for (std::int64_t s = 0; s < 20; ++s)
            CHECK_FALSE(
                refusal.again(at(3'600'000 + s * 1'000), static_cast<std::uint64_t>(s + 1)));
        CHECK(refusal.again(at(3'620'000), 30));
    }
    SUBCASE("is asked for more and more seldom") {
        Refusal refusal;
        std::int64_t now = 0, tries = 0;
        for (; now < 600'000 && !refusal.again(at(now), static_cast<std::uint64_t>(now)); ++tries)
            now = (refusal.next() - at(0)).count();
        CHECK(tries <= 14);
        CHECK(now < 85'000);
        CHECK(refusal.next() == at(now) + lost_patience);
    }
    SUBCASE("of so many places and no more, those first that nobody wants any more") {
        Refusals refusals;
        constexpr auto max = static_cast<std::uint32_t>(Refusals::places_max);
        for (std::uint32_t i = 0; i <= max; ++i)
            refusals.refused(at(i / 2), i, {.segment = 1, .position = i * page, .generation = 9});
        CHECK(refusals.due(at(max / 2), {.segment = 1, .position = 0, .generation = 9}));
        CHECK_FALSE(refusals.due(at(max / 2), {.segment = 1, .position = page, .generation = 9}));
        CHECK(refusals.due(at(max / 2), {.segment = 1, .position = page, .generation = 8}));
        refusals.given({.segment = 1, .position = page, .generation = 9}, 2 * page);
        CHECK(refusals.due(at(max / 2), {.segment = 1, .position = page, .generation = 9}));
        CHECK(refusals.due(at(max / 2), {.segment = 1, .position = 2 * page, .generation = 9}));
        CHECK_FALSE(
            refusals.due(at(max / 2), {.segment = 1, .position = 3 * page, .generation = 9}));
    }
}

}  // namespace leat::log::test
