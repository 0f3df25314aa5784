// Damage that a start meets, and devices that do not give what is asked for.
#include "broker/log/footer.hpp"
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("damage: a segment header that does not hold costs its segment at most, wherever it is") {
    constexpr std::size_t count = 75, each = 7;
    SimStorage made({.seed = 1, .size = twice_small});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(rig.append_durably(1, {.size = 7'900, .salt = i}));
    }
    made.power_cycle();
    const auto place_of = [&](std::uint64_t segment) {
        std::uint8_t page[segment_header_bytes];
        made.image().read(32 * KiB + segment * small_segment, page);
        const auto header = decode_segment_header(page);
        return header && header->area == Area::arrivals ? header->place : 0;
    };
    std::uint64_t newest = 0;
    for (std::uint64_t segment = 0; segment < 32; ++segment)
        newest = std::max(newest, place_of(segment));
    REQUIRE(newest > 9);
    SimRandom random(3);
    for (std::uint64_t segment = 0; segment < 18; ++segment)
        for (int kind = 0; kind < 4; ++kind) {
            INFO("segment ", segment, " place ", place_of(segment), " kind ", kind);
            const std::uint64_t at = 32 * KiB + segment * small_segment;
            SimStorage device({.seed = 2}, made.image());
            std::vector<std::uint8_t> hit(kind == 0 ? 1 : kind == 3 ? 16 * KiB : 4'096);
            const std::uint64_t where = at + (kind == 0 ? random.below(512) : 0);
            device.image().read(where, hit);
            for (std::uint8_t& byte : hit)
                byte = static_cast<std::uint8_t>(kind == 0   ? byte ^ (1u << random.below(8))
                                                 : kind == 1 ? 0
                                                             : 0xA5);
            device.image().write(where, hit);
            std::size_t before = count, errors = 0;
            {
                Rig rig(device);
                REQUIRE(rig.open());
                REQUIRE(rig.log->declare_stream(1, {}));
                const auto found = read_over(rig, 1, errors);
                CHECK(std::is_sorted(found.begin(), found.end()));
                CHECK(found.size() + each >= count);
                if (kind == 0) CHECK(found.size() == count);  // a bit is known
                if (place_of(segment) != newest || kind == 0)
                    CHECK(rig.log->stream(1)->log_end == static_cast<Offset>(count));
                CHECK(rig.log->books(1).balanced());
                before = found.size();
                for (std::uint64_t i = 0; i < 20; ++i)
                    REQUIRE(rig.append_durably(1, {.size = 7'900, .salt = 900 + i}));
                rig.pass(1'000);
            }
            device.power_cycle();
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            CHECK(read_over(rig, 1, errors).size() == before + 20);
            CHECK(rig.log->books(1).balanced());
        }
}

TEST_CASE("damage: a superblock that the device does not give is no reason to stay down") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
        SimStorage device({.seed = 2}, made.image());
        {
            Poor poor(device);
            poor.bad_sector = slot * 16 * KiB;
            SimEntropy entropy(9);
            const auto log = make_log(poor, entropy, small_config());
            const Instant now = instant_ms(2'000'000);
            REQUIRE(log->open(now, wall_ms(1'800'000'100'000)));
            CHECK(log->stream(1)->log_end == planted.back().to);
            log->close(now, wall_ms(1'800'000'100'000));
            while (!log->closed()) log->on_storage(now);
        }
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        std::size_t errors = 0;
        CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() ==
              planted.size());
        CHECK(errors == 0);
    }
}

TEST_CASE("damage: a read that fails once at a start costs nothing") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    bool reached = true;
    for (std::uint64_t fails = 0; reached; ++fails) {
        SimStorage device({.seed = 2, .fail_read_at = fails}, made.image());
        Rig rig(device);
        INFO("read ", fails);
        REQUIRE(rig.open());
        reached = device.counts().reads > fails;
        if (!reached) break;
        CHECK(rig.log->status().was_sealed);
        CHECK(rig.log->status().cut_text == "");
        CHECK(rig.log->find_fact(FactKind::config, bytes_of("k")).has_value());
        declare_both(rig);
        std::size_t errors = 0;
        CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() ==
              planted.size());
        CHECK(errors == 0);
    }
}

TEST_CASE("read: a device that takes no more reads now has no damage") {
    SimStorage device({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(device);
    Poor narrow(device);
    narrow.reads_max = 2;
    SimEntropy entropy(9);
    const auto log = make_log(narrow, entropy, small_config());
    const Instant now = instant_ms(2'000'000);
    REQUIRE(log->open(now, wall_ms(1'800'000'100'000)));
    std::map<ReadTicket, std::size_t> asked;
    std::vector<std::vector<std::uint8_t>> into(planted.size(), std::vector<std::uint8_t>(4'096));
    for (std::size_t i = 0; i < planted.size(); ++i) {
        const auto ticket = log->start_read(
            now, {.stream = planted[i].stream, .from = planted[i].from, .until = planted[i].to},
            into[i]);
        REQUIRE(ticket);
        asked[*ticket] = i;
    }
    for (int i = 0; i < 10'000 && !asked.empty(); ++i) {
        log->on_storage(now);
        while (const auto done = log->poll_read()) {
            const Planted& one = planted[asked.at(done->ticket)];
            INFO("stream ", one.stream, " from ", one.from);
            REQUIRE(done->bytes);
            CHECK(*done->bytes == one.batch.size());
            asked.erase(done->ticket);
        }
    }
    CHECK(asked.empty());
    CHECK(narrow.refused > 0);
    CHECK(log->counters().damaged_batches == 0);
    for (const StreamId id : {1u, 2u}) CHECK(log->books(id).losses.empty());
}

// One that an earlier run left torn, in front of the one that closed the segment.
TEST_CASE("start: of two lost footers the one that the trailer tells of is asked for") {
    constexpr std::uint32_t page = 4096, sector = 512;
    SimStorage device({.seed = 3, .size = 32 * KiB + 512 * small_segment});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        for (std::uint64_t i = 0; i < 4; ++i)
            REQUIRE(rig.append_durably(1, {.count = 2, .size = 20'000, .salt = i}));
    }
    SimImage& image = device.image();
    const std::uint64_t front = 32 * KiB, end = front + small_segment;
    std::vector<std::uint8_t> bytes(segment_header_bytes), footer(page);
    image.read(front, bytes);
    auto header = decode_segment_header(bytes);
    REQUIRE(header);
    header->candidates = {400};
    encode_segment_header(*header, bytes);
    image.write(front, bytes);
    image.read(end - page, footer);
    auto index = decode_footer(footer, header->generation, header->salt);
    REQUIRE(index);
    const CommitHeader commit = *decode_commit_header(footer, header->salt);
    index->candidates = {401};
    for (StreamId id = 100; id < 140; ++id) index->streams[id] = index->streams[1];
    const auto earlier = encode_footer(*index, commit, header->salt, page, small_segment);
    REQUIRE(earlier.size() > page);
    image.write(end - earlier.size(), ByteView(earlier).first(sector));
    const std::vector<std::uint8_t> nothing(sector);
    image.write(end - page, nothing);
    Rig rig(device);
    REQUIRE(rig.open());
    declare_both(rig);
    CHECK(rig.log->stream(1)->log_end == 8);
    CHECK(rig.read_all(1, 0).next == 8);
}

// A checkpoint knows facts of commits that the ring has lost: what comes next is newer than they are.
TEST_CASE("start: what is put behind a tail that is lost stays, though a checkpoint knows more") {
    constexpr std::uint32_t page = 4096;
    SimStorage made({.seed = 1, .size = twice_small});
    std::optional<SegmentHeader> tail;
    std::vector<std::uint32_t> ends;  // of its commits
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        (void)fill(rig);
        // On until a checkpoint has come with some commits of the newest segment behind it.
        for (std::uint64_t i = 0; ends.size() < 5; ++i) {
            REQUIRE(i < 1'000);
            const std::uint64_t before = newest_superblock(made.image()).sequence;
            REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of("old")));
            REQUIRE(rig.append_durably(1, {.size = 3'000, .salt = i}));
            if (newest_superblock(made.image()).sequence == before) continue;
            tail.reset();
            ends.clear();
            for (std::uint64_t segment = 0; segment < 32; ++segment) {
                std::uint8_t front[segment_header_bytes];
                made.image().read(32 * KiB + segment * small_segment, front);
                const auto header = decode_segment_header(front);
                if (header && header->area == Area::arrivals &&
                    (!tail || tail->place < header->place))
                    tail = *header;
            }
            for (std::uint32_t at = page; at < small_segment;) {
                std::uint8_t front[commit_header_bytes];
                made.image().read(32 * KiB + tail->segment * std::uint64_t{small_segment} + at,
                                  front);
                const auto commit = decode_commit_header(front, tail->salt);
                if (!commit || commit->generation != tail->generation) break;
                ends.push_back(at += commit->bytes);
            }
        }
    }
    const std::uint64_t front = 32 * KiB + tail->segment * std::uint64_t{small_segment};
    for (const std::uint32_t from : {0u, page, ends[0], ends[1], ends[3]}) {
        INFO("from ", from);
        SimStorage device({.seed = 2}, made.image());
        const std::vector<std::uint8_t> garbage(small_segment - from, 0xA5);
        device.image().write(front + from, garbage);
        Offset end = 0;
        for (int start = 0; start < 4; ++start) {
            INFO("start ", start);
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            const auto value = rig.log->find_fact(FactKind::config, bytes_of("k"));
            REQUIRE(value);
            const std::string expected = start == 0 ? "old" : "new" + std::to_string(start - 1);
            CHECK(std::string(text_of(*value)) == expected);
            if (start > 0) CHECK(rig.log->stream(1)->log_end == end);
            const std::string next = "new" + std::to_string(start);
            REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of(next)));
            REQUIRE(rig.append_durably(1, {.size = 50, .salt = 1}));
            CHECK_FALSE(rig.log->status().read_only);
            end = rig.log->stream(1)->log_end;
        }
    }
}
