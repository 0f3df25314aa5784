#include "sdk/wire/record_batch.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "sdk/wire/control_batch.hpp"
#include "sdk/wire/varint.hpp"

using namespace leat;
using namespace leat::wire;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes from_hex(std::string_view hex) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    Bytes out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(digit(hex[i]) * 16 + digit(hex[i + 1])));
    return out;
}

// Computed by and cross-checked with kafka-python's decoder.
const Bytes data_batch = from_hex(
    "00000000000000000000004700000000020217af830000000000010000018bcfe568000000018bcfe56805ffffffff"
    "ffffffffffffffff"
    "ffff000000021c000000046b3104763102026802780c000a02010100");
const Bytes transactional_batch = from_hex(
    "000000000000000a0000003a00000000022ebd78bd0010000000000000018bcfe568000000018bcfe5680000000000"
    "00000fa000030000"
    "00070000000110000000026b027600");
const Bytes commit_marker = from_hex(
    "000000000000000b000000420000000002b4213bcb0030000000000000018bcfe568000000018bcfe5680000000000"
    "00000fa00003ffff"
    "ffff000000012000000008000000010c00000000000000");
const Bytes abort_marker = from_hex(
    "000000000000000b000000420000000002401fed830030000000000000018bcfe568000000018bcfe5680000000000"
    "00000fa00003ffff"
    "ffff000000012000000008000000000c00000000000000");

BatchView parsed(ByteView bytes) {
    Result<BatchView> batch = BatchView::parse(bytes);
    REQUIRE(batch);
    return *batch;
}

}  // namespace

TEST_CASE("record batch: the golden data batch reads as what was written") {
    const BatchView batch = parsed(data_batch);
    CHECK(batch.crc_ok());
    CHECK(batch.header().record_count == 2);
    CHECK(batch.header().last_offset_delta == 1);
    CHECK(batch.header().base_timestamp == 1700000000000);
    CHECK(batch.header().max_timestamp == 1700000000005);
    CHECK(batch.header().partition_leader_epoch == 0);
    CHECK(batch.codec() == Codec::none);

    RecordReader reader(batch.records(), batch.header().record_count);
    std::optional<RecordView> first = reader.next();
    REQUIRE(first);
    CHECK(text_of(first->key) == "k1");
    CHECK(text_of(first->value) == "v1");
    REQUIRE(first->headers.size() == 1);
    const std::optional<RecordHeader> header = first->headers.next();
    REQUIRE(header);
    CHECK(header->key.view() == "h");
    CHECK(text_of(header->value) == "x");
    CHECK_FALSE(first->headers.next());

    const std::optional<RecordView> second = reader.next();
    REQUIRE(second);
    CHECK(second->offset_delta == 1);
    CHECK(second->timestamp_delta == 5);
    CHECK(second->key.is_null());
    CHECK(second->value.is_null());
    CHECK_FALSE(reader.next());
    CHECK(reader.finish());
}

TEST_CASE("record batch: the builder writes the golden bytes") {
    Bytes memory(200);
    BatchBuilder builder{MutableBytes(memory)};
    const RecordHeader headers[] = {{.key = "h", .value = bytes_of("x")}};
    const RecordInput first{.timestamp = 1700000000000,
                            .key = bytes_of("k1"),
                            .value = bytes_of("v1"),
                            .headers = headers};
    const std::size_t before = builder.size();
    const std::size_t predicted = builder.size_of(first);
    REQUIRE(builder.append(first));
    CHECK(builder.size() == before + predicted);
    REQUIRE(builder.append({.timestamp = 1700000000005, .key = nullptr, .value = nullptr}));

    // The builder leaves leader epoch -1, which is outside the CRC; the golden one has 0.
    Bytes expected = data_batch;
    for (int i = 12; i < 16; ++i) expected[static_cast<std::size_t>(i)] = 0xff;
    CHECK(equal(builder.finish({}), expected));

    builder.clear();
    CHECK(builder.empty());
    REQUIRE(
        builder.append({.timestamp = 1700000000000, .key = bytes_of("k"), .value = bytes_of("v")}));
    const ByteView whole = builder.finish({.producer_id = 4000,
                                           .producer_epoch = 3,
                                           .base_sequence = 7,
                                           .attributes = attribute::transactional});
    const BatchView golden = parsed(transactional_batch);
    CHECK(golden.crc_ok());
    CHECK(equal(whole.subspan(16), ByteView(transactional_batch).subspan(16)));
}

TEST_CASE("record batch: header and records may lie apart, and the CRC is the same") {
    for (const Bytes* golden : {&data_batch, &transactional_batch, &commit_marker, &abort_marker}) {
        const BatchView batch = parsed(*golden);
        BatchHeader header = batch.header();
        header.crc = 0;
        header.batch_length = 0;
        std::uint8_t apart[batch_header_size];
        seal_batch_header(header, batch.records(), apart);
        CHECK(equal(apart, batch.whole().first(batch_header_size)));
        CHECK(header == batch.header());
    }
}

TEST_CASE("control batch: markers read and write as the golden bytes") {
    for (const Bytes* golden : {&commit_marker, &abort_marker}) {
        const BatchView batch = parsed(*golden);
        CHECK(batch.crc_ok());
        CHECK(batch.header().is_control());
        const Result<ControlMarker> marker = read_control_marker(batch);
        REQUIRE(marker);
        CHECK(marker->type ==
              (golden == &commit_marker ? ControlMarker::commit : ControlMarker::abort));
        std::uint8_t written[control_batch_size];
        write_control_marker(*marker,
                             {.producer_id = 4000,
                              .producer_epoch = 3,
                              .base_offset = 11,
                              .partition_leader_epoch = 0,
                              .timestamp = 1700000000000},
                             written);
        CHECK(equal(written, *golden));
    }
    CHECK(read_control_marker(parsed(data_batch)).error() == Error::invalid);
}

TEST_CASE(
    "record batch: parse takes one batch and leaves the next, and refuses what is not whole") {
    Bytes two = data_batch;
    two.insert(two.end(), transactional_batch.begin(), transactional_batch.end());
    const BatchView first = parsed(two);
    CHECK(equal(first.whole(), data_batch));
    const BatchView second = parsed(ByteView(two).subspan(first.whole().size()));
    CHECK(second.header().base_offset == 10);

    for (std::size_t cut = 0; cut < data_batch.size(); ++cut) {
        INFO("cut=" << cut);
        CHECK(BatchView::parse(ByteView(data_batch).first(cut)).error() == Error::truncated);
    }
    Bytes bad = data_batch;
    bad[16] = 1;
    CHECK(BatchView::parse(bad).error() == Error::unsupported);
    for (const std::int32_t length : {-1, 0, 48, std::numeric_limits<std::int32_t>::min()}) {
        bad = data_batch;
        store_big(bad.data() + 8, length);
        CHECK(BatchView::parse(bad).error() == Error::malformed);
    }
    bad = data_batch;
    store_big(bad.data() + 8, std::numeric_limits<std::int32_t>::max());
    CHECK(BatchView::parse(bad).error() == Error::truncated);
    store_big(bad.data() + 8, std::int32_t{49});
    CHECK(parsed(bad).records().empty());
}

TEST_CASE("record batch: parse refuses offsets that are negative or end beyond 64 bits") {
    constexpr auto offset_max = std::numeric_limits<std::int64_t>::max();
    constexpr auto delta_max = std::numeric_limits<std::int32_t>::max();
    struct Offsets {
        std::int64_t base;
        std::int32_t delta;
    };
    const auto with = [](Offsets offsets) {
        Bytes batch = data_batch;
        store_big(batch.data(), offsets.base);
        store_big(batch.data() + 23, offsets.delta);
        return batch;
    };
    for (const Offsets one :
         {Offsets{-1, 0}, Offsets{0, -1}, Offsets{offset_max, 0}, Offsets{offset_max - 5, 5},
          Offsets{offset_max - delta_max, delta_max},
          Offsets{std::numeric_limits<std::int64_t>::min(), -2049771523},
          Offsets{5, std::numeric_limits<std::int32_t>::min()}}) {
        INFO("base=" << one.base << " delta=" << one.delta);
        const Bytes bad = with(one);
        CHECK(BatchView::parse(bad).error() == Error::malformed);
        // A producer's has no offsets yet: what stands there is judged behind its checksum.
        const auto cut = BatchView::cut(bad);
        REQUIRE(cut);
        CHECK(cut->header().base_offset == one.base);
    }
    for (const Offsets one : {Offsets{0, 0}, Offsets{offset_max - 1, 0}, Offsets{offset_max - 6, 5},
                              Offsets{offset_max - delta_max - 1, delta_max}}) {
        INFO("base=" << one.base << " delta=" << one.delta);
        const Bytes good = with(one);
        CHECK(parsed(good).header().next_offset() == one.base + one.delta + 1);
    }
}

TEST_CASE("record batch: every flipped bit behind byte 16 is seen by the CRC") {
    for (std::size_t bit = 17 * 8; bit < data_batch.size() * 8; ++bit) {
        Bytes bad = data_batch;
        bad[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
        const auto batch = BatchView::cut(bad);
        REQUIRE(batch);
        CHECK_FALSE(batch->crc_ok());
    }
}

TEST_CASE("record reader: lengths that lie are found, whatever they promise") {
    const BatchView batch = parsed(data_batch);
    const Bytes records(batch.records().begin(), batch.records().end());
    const auto read = [](ByteView bytes, std::int32_t count) {
        RecordReader reader(bytes, count);
        std::size_t seen = 0;
        while (std::optional<RecordView> record = reader.next()) {
            ++seen;
            // Touch everything, so that a sanitizer sees a view that leaves the bytes.
            for (const BytesView view : {record->key, record->value})
                if (!view.empty()) {
                    CHECK(view.view().data() >= bytes.data());
                    CHECK(view.view().data() + view.size() <= bytes.data() + bytes.size());
                }
            while (record->headers.next()) {
            }
        }
        CHECK_FALSE(reader.next());
        return std::pair(seen, reader.finish());
    };
    CHECK(read(records, 2).second);
    CHECK_FALSE(read(records, 1).second);  // bytes left over
    CHECK_FALSE(read(records, 3).second);  // bytes end early
    CHECK_FALSE(read(records, -1).second);
    CHECK_FALSE(read(records, std::numeric_limits<std::int32_t>::max()).second);
    CHECK(read({}, 0).second);
    CHECK_FALSE(read({}, 1).second);
    for (std::size_t cut = 0; cut < records.size(); ++cut) {
        INFO("cut=" << cut);
        CHECK_FALSE(read(ByteView(records).first(cut), 2).second);
    }
    std::mt19937 random(7);
    for (int round = 0; round < 20'000; ++round) {
        Bytes bad = records;
        for (int flips = 0; flips < 3; ++flips)
            bad[random() % bad.size()] = static_cast<std::uint8_t>(random());
        const Bytes exact(bad);  // an allocation of exactly this size
        (void)read(exact, 2);
    }
}

TEST_CASE(
    "record reader: a header count without headers, a null header key and spare bytes are "
    "malformed") {
    const auto verdict = [](const char* hex) {
        const Bytes bytes = from_hex(hex);
        RecordReader reader(bytes, 1);
        (void)reader.next();
        return reader.finish();
    };
    CHECK(
        verdict("0c0000000101"
                "00"));  // null key, null value, no headers
    CHECK(verdict("0c0000000101"
                  "02")
              .error() == Error::malformed);  // one header promised
    CHECK(verdict("0c0000000101"
                  "01")
              .error() == Error::malformed);  // minus one header
    CHECK(verdict("100000000101"
                  "02"
                  "0101")
              .error() == Error::malformed);  // null header key
    CHECK(
        verdict("100000000101"
                "02"
                "0001"));  // empty key, null value
    CHECK(verdict("0e0000000101"
                  "0000")
              .error() == Error::malformed);                   // one byte too many
    CHECK(verdict("00").error() == Error::malformed);          // no room for attributes
    CHECK(verdict("01").error() == Error::malformed);          // negative length
    CHECK(verdict("ffffffff0f").error() == Error::malformed);  // length -2^31
    CHECK(verdict("feffffff0f").error() == Error::truncated);  // length 2^31 - 1
    CHECK(verdict("ffffffff1f").error() == Error::truncated);  // 33 bits: not a varint
}

TEST_CASE("batch builder: full at the byte, too large when it never fits") {
    const RecordInput record{.timestamp = 5, .key = bytes_of("key"), .value = bytes_of("value")};
    Bytes big(1000);
    const std::size_t first = BatchBuilder(MutableBytes(big)).size_of(record);
    for (const std::size_t room : {first - 1, first, first + 1}) {
        Bytes memory(batch_header_size + room);
        BatchBuilder builder{MutableBytes(memory)};
        const Status status = builder.append(record);
        if (room < first) {
            CHECK(status.error() == Error::too_large);
            CHECK(builder.empty());
        } else {
            CHECK(status);
            CHECK(builder.append(record).error() == Error::full);
            CHECK(builder.record_count() == 1);
            CHECK(parsed(builder.finish({})).crc_ok());
        }
    }
    for (std::size_t small = 0; small <= batch_header_size; ++small) {
        Bytes memory(small);
        BatchBuilder builder{MutableBytes(memory)};
        CHECK(builder.append(record).error() == Error::too_large);
    }
}

TEST_CASE("batch builder: random records read back as they were, time stamps in any order") {
    std::mt19937_64 random(11);
    for (int round = 0; round < 200; ++round) {
        Bytes memory(20'000);
        BatchBuilder builder{MutableBytes(memory)};
        std::vector<std::int64_t> stamps;
        std::vector<Bytes> values;
        for (int i = 0; i < 100; ++i) {
            const std::int64_t stamp =
                round % 2 ? static_cast<std::int64_t>(random())
                          : 1'700'000'000'000 + static_cast<int>(random() % 2000) - 1000;
            Bytes value(random() % 300, static_cast<std::uint8_t>(i));
            const RecordHeader headers[] = {{.key = "a", .value = nullptr},
                                            {.key = "", .value = ByteView(value)}};
            if (!builder.append({.timestamp = stamp,
                                 .key = nullptr,
                                 .value = ByteView(value),
                                 .headers = headers}))
                break;
            stamps.push_back(stamp);
            values.push_back(value);
        }
        const BatchView batch = parsed(builder.finish({}));
        CHECK(batch.crc_ok());
        CHECK(batch.header().record_count == static_cast<std::int32_t>(values.size()));
        CHECK(batch.header().max_timestamp == *std::max_element(stamps.begin(), stamps.end()));
        RecordReader reader(batch.records(), batch.header().record_count);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::optional<RecordView> record = reader.next();
            REQUIRE(record);
            CHECK(static_cast<std::uint64_t>(batch.header().base_timestamp) +
                      static_cast<std::uint64_t>(record->timestamp_delta) ==
                  static_cast<std::uint64_t>(stamps[i]));
            CHECK(record->offset_delta == static_cast<std::int32_t>(i));
            CHECK(equal(record->value, values[i]));
            CHECK(record->headers.next()->value.is_null());
            CHECK(equal(record->headers.next()->value, values[i]));
        }
        CHECK(reader.finish());
    }
}

TEST_CASE("sequence: wraps from 2147483647 to 0") {
    constexpr std::int32_t last = std::numeric_limits<std::int32_t>::max();
    CHECK(next_sequence(0, 1) == 1);
    CHECK(next_sequence(last, 1) == 0);
    CHECK(next_sequence(last - 1, 1) == last);
    CHECK(next_sequence(last - 2, 5) == 2);
}

TEST_CASE("varint: every length, both widths, is its own inverse; overlong ones are refused") {
    for (int bit = 0; bit < 64; ++bit)
        for (const std::int64_t nudge : {-1, 0, 1}) {
            const auto wide = static_cast<std::int64_t>((std::uint64_t{1} << bit) +
                                                        static_cast<std::uint64_t>(nudge));
            for (const std::int64_t value :
                 {wide, static_cast<std::int64_t>(~static_cast<std::uint64_t>(wide))}) {
                std::uint8_t bytes[10];
                const std::uint8_t* end = put_varint(bytes, value);
                CHECK(static_cast<std::size_t>(end - bytes) == varint_size(value));
                std::int64_t back = 0;
                CHECK(get_varint(bytes, end, back) == end);
                CHECK(back == value);
                CHECK(get_varint(bytes, end - 1, back) == nullptr);
                const auto narrow = static_cast<std::int32_t>(value);
                end = put_varint(bytes, narrow);
                std::int32_t narrow_back = 0;
                CHECK(get_varint(bytes, end, narrow_back) == end);
                CHECK(narrow_back == narrow);
            }
        }
    const Bytes eleven(11, 0x80);
    std::int64_t ignored = 0;
    CHECK(get_varint(eleven.data(), eleven.data() + eleven.size(), ignored) == nullptr);
    const Bytes wide = from_hex("ffffffffffffffffff02");
    CHECK(get_varint(wide.data(), wide.data() + wide.size(), ignored) == nullptr);
}
