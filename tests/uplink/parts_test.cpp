// The uplink's small parts: names, cursors, re-encoding.
#include <doctest/doctest.h>

#include <limits>
#include <set>

#include "broker/uplink/cursor.hpp"
#include "broker/uplink/reencode.hpp"
#include "broker/uplink/route.hpp"
#include "broker/uplink/tap.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("route: patterns with stars") {
    CHECK(matches_pattern("*", ""));
    CHECK(matches_pattern("*", "anything"));
    CHECK(matches_pattern("a*", "a"));
    CHECK(matches_pattern("a*c", "abc"));
    CHECK(matches_pattern("a*c", "abcbc"));
    CHECK(matches_pattern("*a*b*", "xxaxxbxx"));
    CHECK(matches_pattern("exact", "exact"));
    CHECK_FALSE(matches_pattern("exact", "exact2"));
    CHECK_FALSE(matches_pattern("exact", "exac"));
    CHECK_FALSE(matches_pattern("a*c", "abcd"));
    CHECK_FALSE(matches_pattern("", "a"));
    CHECK(matches_pattern("", ""));
    CHECK_FALSE(matches_pattern("a.c", "abc"));
    // No exponential search.
    CHECK_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*a*b", std::string(200, 'a')));
}

TEST_CASE("route: upstream names and Kafka's rule for them") {
    config::Route route;
    CHECK(upstream_name(route, "t") == "t");
    route.upstream_topic = "site7.{topic}";
    CHECK(upstream_name(route, "t") == "site7.t");
    route.upstream_topic = "{topic}.{topic}";
    CHECK(upstream_name(route, "ab") == "ab.ab");
    route.upstream_topic = "all";
    CHECK(upstream_name(route, "t") == "all");
    CHECK(is_legal_topic("a.B_c-9"));
    CHECK(is_legal_topic(std::string(249, 'a')));
    CHECK_FALSE(is_legal_topic(std::string(250, 'a')));
    for (const char* bad : {"", ".", "..", "a b", "a/b", "{topic}"})
        CHECK_FALSE(is_legal_topic(bad));
}

TEST_CASE("cursor: only moves forward, is kept per route and stream, and the least one releases") {
    leat::test::FakeLog log;
    REQUIRE(log.declare_stream(1, {}));
    REQUIRE(log.declare_stream(2, {}));
    const Instant now = instant_ms(1000);
    {
        Cursors cursors(log, {"a", "b"}, milliseconds{1000});
        cursors.load();
        CHECK(cursors.attach(0, 1) == 0);
        CHECK(cursors.attach(1, 1) == 0);
        CHECK(cursors.attach(1, 2) == 0);
        CHECK(cursors.deadline() == never);
        cursors.move(now, 0, 1, 50);
        cursors.move(now, 0, 1, 40);
        CHECK(log.stream(1)->release == 0);
        cursors.move(now, 1, 1, 30);
        CHECK(log.stream(1)->release == 0);  // what is freed and what is written do not part
        CHECK(cursors.least(1) == 30);
        cursors.move(now, 1, 2, 7);
        CHECK(cursors.deadline() == instant_ms(2000));
        cursors.write_due(instant_ms(1999));
        CHECK_FALSE(log.find_fact(log::FactKind::cursor, ByteView()));
        log.is_read_only = true;
        cursors.write_due(instant_ms(2000));
        CHECK(cursors.deadline() == instant_ms(3000));  // refused: again later
        log.is_read_only = false;
        cursors.write_due(instant_ms(3000));
        CHECK(cursors.deadline() == never);
        CHECK(log.stream(1)->release == 30);
        cursors.detach(1, 1);
        cursors.release(1);
        CHECK(log.stream(1)->release == 50);
        cursors.detach(0, 1);
        cursors.release(1);
        CHECK(log.stream(1)->release == std::numeric_limits<log::Offset>::max());
    }
    // Routes may change places, or be gone.
    Cursors again(log, {"b", "new", "a"}, milliseconds{1000});
    again.load();
    CHECK(again.attach(0, 1) == 30);
    CHECK(again.attach(1, 1) == 0);
    CHECK(again.attach(2, 1) == 50);
    CHECK(again.attach(0, 2) == 7);
    again.erase_others(now, {2});
    Cursors third(log, {"a", "b"}, milliseconds{1000});
    third.load();
    CHECK(third.attach(0, 1) == 0);
    CHECK(third.attach(1, 2) == 7);
}

TEST_CASE("tap: the cursor waits for the oldest batch, and for all its parts") {
    Tap tap("t", 0, 1, 100);
    const auto a = tap.add_pending(110, 1, 10);
    const auto b = tap.add_pending(120, 3, 10);
    const auto c = tap.add_pending(130, 1, 10);
    CHECK(tap.read_from() == 130);
    CHECK(tap.outstanding_bytes() == 30);
    CHECK_FALSE(tap.part_done(c));
    CHECK_FALSE(tap.part_done(b));
    CHECK(tap.part_done(a));
    CHECK(tap.cursor() == 110);
    CHECK_FALSE(tap.part_done(b));
    CHECK(tap.part_done(b));
    CHECK(tap.cursor() == 130);
    CHECK(tap.outstanding_bytes() == 0);
    const auto d = tap.add_pending(140, 1, 10);
    tap.rewind();
    CHECK(tap.read_from() == 130);
    const auto e = tap.add_pending(140, 1, 10);
    CHECK_FALSE(tap.part_done(d));  // a name from before
    CHECK(tap.part_done(e));
    const auto f = tap.add_pending(145, 0, 0);
    CHECK(tap.part_done(f));
    CHECK(tap.cursor() == 145);
}

TEST_CASE(
    "tap: the backlog's age is that of the oldest record, never too young, in bounded memory") {
    Tap tap("t", 0, 1, 0);
    CHECK(tap.age(instant_ms(0)) == milliseconds{0});
    for (int second = 0; second < 10'000; ++second) tap.mark(instant_ms(second * 1000), second + 1);
    CHECK(tap.age(instant_ms(10'000'000)) == milliseconds{10'000'000});
    tap.part_done(tap.add_pending(5'000, 1, 1));
    const auto age = tap.age(instant_ms(10'000'000)).count();
    CHECK(age >= 5'000'000);
    CHECK(age <= 5'700'000);
    tap.part_done(tap.add_pending(10'000, 1, 1));
    CHECK(tap.age(instant_ms(10'000'000)) == milliseconds{0});
}

TEST_CASE("reencode: parts stay below their bound, a longer record is a part of its own") {
    for (const Codec codec : {Codec::none, Codec::snappy}) {
        Bytes memory(8 * MiB);
        wire::BatchBuilder builder{MutableBytes(memory)};
        for (int i = 0; i < 40; ++i) {
            const Bytes value(i == 20 ? 2 * MiB : 60'000, static_cast<std::uint8_t>(i));
            REQUIRE(builder.append({.timestamp = i, .value = ByteView(value)}));
        }
        Bytes packed;
        REQUIRE(compression::compress(codec, builder.records(), packed));
        wire::BatchHeader header = builder.header();
        header.attributes = static_cast<std::int16_t>(codec);
        Bytes whole(61 + packed.size());
        copy_bytes(packed, MutableBytes(whole).subspan(61));
        wire::seal_batch_header(header, packed, whole.data());
        const auto parts = reencode(*wire::BatchView::parse(whole), {.gateway_id = "g"});
        REQUIRE(parts);
        int next = 0;
        for (const Part& part : *parts) {
            CHECK(part.header.codec() == codec);
            CHECK(part.header.last_offset_delta == part.header.record_count - 1);
            std::size_t plain = 0;
            for (const Plain& record : records_of({part.header, part.records})) {
                CHECK(record.timestamp == next);
                CHECK(record.headers.at(1).second == std::to_string(next));
                plain += record.value.size();
                ++next;
            }
            CHECK((plain <= part_bytes_max || part.header.record_count == 1));
        }
        CHECK(next == 40);
    }
}

TEST_CASE("reencode: damaged records are an answer, not a crash") {
    const Bytes good = make_batch({.count = 20, .codec = Codec::lz4});
    for (std::size_t at = 61; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= 0x41;
        (void)reencode(*wire::BatchView::parse(bad), {.partition_count = 3});
    }
    Bytes plain = make_batch({.count = 20});
    plain[61] = 0xff;
    CHECK_FALSE(reencode(*wire::BatchView::parse(plain), {.partition_count = 3}));
}

TEST_CASE("cursor: many of them are written more seldom, within a bound") {
    leat::test::FakeLog log;
    for (const int count : {1, 100, 100'000}) {
        Cursors cursors(log, {"a"}, milliseconds{250});
        for (int i = 0; i < count; ++i) {
            REQUIRE(log.declare_stream(static_cast<log::StreamId>(i), {}));
            cursors.attach(0, static_cast<log::StreamId>(i));
            cursors.move(instant_ms(1000), 0, static_cast<log::StreamId>(i), 1);
            log.drop_stream(static_cast<log::StreamId>(i));
        }
        CHECK(cursors.deadline() == instant_ms(1250));
        cursors.write_due(instant_ms(1250));
        cursors.move(instant_ms(1251), 0, 0, 2);
        CHECK(cursors.deadline() == instant_ms(1250 + std::clamp(count * 25, 250, 5000)));
    }
}
