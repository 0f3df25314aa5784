#include "broker/topics/validate.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "broker/topics/record_walk.hpp"
#include "sdk/compression/compression.hpp"

using namespace leat;
using namespace leat::topics;
using wire::ErrorCode;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::int64_t day = 1'700'000'000'000;
constexpr Codec all_codecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

/// What a test wants to be different from a batch of `count` fine records.
struct Twist {
    std::function<void(wire::BatchHeader&)> header = [](wire::BatchHeader&) {};
    std::function<void(Bytes&)> records = [](Bytes&) {};     // before compression
    std::function<void(Bytes&)> compressed = [](Bytes&) {};  // after it
    int keyless = -1;                                        // index of a record without key
    std::int64_t timestamp_step = 1;
};

Bytes make_batch(Codec codec, int count, const Twist& twist = {}) {
    Bytes memory(4 * MiB);
    wire::BatchBuilder builder{MutableBytes(memory)};
    const Bytes value(100, 'v');
    const wire::RecordHeader headers[] = {{.key = "h", .value = bytes_of("x")},
                                          {.key = "n", .value = nullptr}};
    for (int i = 0; i < count; ++i) {
        wire::RecordInput record{.timestamp = day + i * twist.timestamp_step,
                                 .key = bytes_of("key"),
                                 .value = ByteView(value)};
        if (i == twist.keyless) record.key = nullptr;
        if (i % 3 == 0) record.headers = headers;
        REQUIRE(builder.append(record));
    }
    Bytes records(builder.records().begin(), builder.records().end());
    twist.records(records);
    Bytes packed;
    REQUIRE(compression::compress(codec, records, packed));
    twist.compressed(packed);
    wire::BatchHeader header = builder.header();
    header.attributes = static_cast<std::int16_t>(codec);
    twist.header(header);
    Bytes batch(wire::batch_header_size + packed.size());
    wire::seal_batch_header(header, packed, batch.data());
    copy_bytes(packed, MutableBytes(batch).subspan(wire::batch_header_size));
    return batch;
}

ErrorCode verdict(ByteView batch, const BatchRules& rules = {}) {
    const Validated result = validate(batch, rules);
    CHECK((result.error == ErrorCode::none) == result.message.empty());
    return result.error;
}

}  // namespace

TEST_CASE("validate: a fine batch passes with each codec, and its header comes back") {
    for (const Codec codec : all_codecs)
        for (const int count : {1, 2, 5000}) {
            const Bytes batch = make_batch(codec, count);
            const Validated result = validate(batch, {});
            CHECK(result.error == ErrorCode::none);
            CHECK(result.header.record_count == count);
            CHECK(result.header.codec() == codec);
            CHECK(result.max_timestamp == day + count - 1);
            CHECK(result.problems.empty());
        }
}

TEST_CASE("validate: exactly one batch of magic 2, whole, with its CRC") {
    const Bytes batch = make_batch(Codec::none, 3);
    CHECK(verdict({}) == ErrorCode::invalid_record);
    Bytes two = batch;
    two.insert(two.end(), batch.begin(), batch.end());
    CHECK(verdict(two) == ErrorCode::invalid_record);
    Bytes tail = batch;
    tail.push_back(0);
    CHECK(verdict(tail) == ErrorCode::invalid_record);
    for (const int magic : {0, 1, 3}) {
        Bytes old = batch;
        old[16] = static_cast<std::uint8_t>(magic);
        CHECK(verdict(old) == ErrorCode::invalid_record);
    }
    for (std::size_t cut = 1; cut < batch.size(); ++cut)
        CHECK(verdict(ByteView(batch).first(cut)) == ErrorCode::corrupt_message);
    for (std::size_t at = 17; at < batch.size(); at += 5) {
        Bytes bad = batch;
        bad[at] ^= 0x10;
        CHECK(verdict(bad) == ErrorCode::corrupt_message);
    }
}

TEST_CASE("validate: max.message.bytes holds to the byte, and before the CRC is looked at") {
    Bytes batch = make_batch(Codec::none, 3);
    const auto size = static_cast<std::uint32_t>(batch.size());
    CHECK(verdict(batch, {.bytes_max = size}) == ErrorCode::none);
    CHECK(verdict(batch, {.bytes_max = size - 1}) == ErrorCode::message_too_large);
    batch.back() ^= 1;
    CHECK(verdict(batch, {.bytes_max = size - 1}) == ErrorCode::message_too_large);
}

// A flipped bit is the way's fault, and the producer sends the batch again; offsets that a producer
// gave are its own.
TEST_CASE("validate: offsets that make no sense are damage where the CRC says so, else refused") {
    Bytes batch = make_batch(Codec::none, 3);
    batch[23] ^= 0x80;  // the sign of the last offset delta
    CHECK(verdict(batch) == ErrorCode::corrupt_message);
    for (const std::int64_t base : {std::int64_t{-1}, std::int64_t{1},
                                    std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max()}) {
        batch = make_batch(Codec::none, 3);
        store_big(batch.data(), base);
        CHECK(verdict(batch) == ErrorCode::invalid_record);
    }
}

TEST_CASE("validate: the header may not claim what a producer must not") {
    using Header = wire::BatchHeader;
    const auto with = [](std::function<void(Header&)> change) {
        return verdict(make_batch(Codec::none, 3, {.header = std::move(change)}));
    };
    CHECK(with([](Header& h) {
              h.record_count = 0;
              h.last_offset_delta = -1;
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) { h.record_count = -1; }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) { h.last_offset_delta = 3; }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.record_count = 4;
              h.last_offset_delta = 3;
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.record_count = 2;
              h.last_offset_delta = 1;
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.record_count = std::numeric_limits<std::int32_t>::max();
              h.last_offset_delta = h.record_count - 1;
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.record_count = std::numeric_limits<std::int32_t>::min();
              h.last_offset_delta = std::numeric_limits<std::int32_t>::max();
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) { h.attributes = wire::attribute::control; }) ==
          ErrorCode::invalid_record);
    CHECK(with([](Header& h) { h.attributes = wire::attribute::log_append_time; }) ==
          ErrorCode::invalid_timestamp);
    CHECK(with([](Header& h) { h.attributes = 5; }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.producer_id = 7;
              h.producer_epoch = 0;
          }) == ErrorCode::invalid_record);
    CHECK(with([](Header& h) {
              h.producer_id = 7;
              h.producer_epoch = 0;
              h.base_sequence = 0;
          }) == ErrorCode::none);
    CHECK(with([](Header& h) { h.attributes = wire::attribute::transactional; }) ==
          ErrorCode::invalid_txn_state);
}

TEST_CASE("validate: zstd needs Produce version 7") {
    const Bytes batch = make_batch(Codec::zstd, 3);
    CHECK(verdict(batch, {.produce_version = 6}) == ErrorCode::unsupported_compression_type);
    CHECK(verdict(batch, {.produce_version = 7}) == ErrorCode::none);
    CHECK(verdict(make_batch(Codec::lz4, 3), {.produce_version = 3}) == ErrorCode::none);
}

TEST_CASE("validate: wrong records inside a right CRC are found with each codec") {
    for (const Codec codec : all_codecs) {
        INFO("codec=" << static_cast<int>(codec));
        const auto with = [&](std::function<void(Bytes&)> change) {
            return verdict(make_batch(codec, 200, {.records = std::move(change)}));
        };
        CHECK(with([](Bytes& r) { r.pop_back(); }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& r) { r.push_back(0); }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& r) { r.clear(); }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& r) { r[0] = static_cast<std::uint8_t>(r[0] + 2); }) ==
              ErrorCode::invalid_record);
        // Record 0: two bytes of length, attributes, time stamp delta, then the offset delta.
        CHECK(with([](Bytes& r) { r[4] = 2; }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& r) { r[5] = 0xff; }) == ErrorCode::invalid_record);
    }
}

TEST_CASE("validate: bytes that are not what the codec says are refused") {
    for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        INFO("codec=" << static_cast<int>(codec));
        const auto with = [&](std::function<void(Bytes&)> change) {
            return verdict(make_batch(codec, 200, {.compressed = std::move(change)}));
        };
        CHECK(with([](Bytes& c) { c.clear(); }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& c) { c.resize(c.size() / 2); }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& c) { c[0] ^= 0xff; }) == ErrorCode::invalid_record);
        CHECK(with([](Bytes& c) { c.push_back(0); }) == ErrorCode::invalid_record);
    }
}

TEST_CASE("validate: a batch that expands beyond the bound is too large, at the byte") {
    for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        INFO("codec=" << static_cast<int>(codec));
        std::uint32_t plain = 0;
        const Bytes batch = make_batch(codec, 5000, {.records = [&](Bytes& r) {
                                           plain = static_cast<std::uint32_t>(r.size());
                                       }});
        CHECK(batch.size() < plain / 4);
        CHECK(verdict(batch, {.decompressed_bytes_max = plain}) == ErrorCode::none);
        CHECK(verdict(batch, {.decompressed_bytes_max = plain - 1}) ==
              ErrorCode::message_too_large);
    }
}

TEST_CASE("validate: a compacted topic names the records without key") {
    for (const Codec codec : all_codecs) {
        const Bytes batch = make_batch(codec, 10, {.keyless = 4});
        CHECK(verdict(batch) == ErrorCode::none);
        const Validated result = validate(batch, {.compacted = true});
        CHECK(result.error == ErrorCode::invalid_record);
        REQUIRE(result.problems.size() == 1);
        CHECK(result.problems[0].index == 4);
        CHECK_FALSE(result.problems[0].message.empty());
    }
}

TEST_CASE("validate: time stamps are held to their bounds only while wall time is trusted") {
    const Bytes batch = make_batch(Codec::gzip, 3, {.timestamp_step = 1000});  // day to day + 2000
    BatchRules rules{.now = wall_ms(day),
                     .check_times = true,
                     .before_max = milliseconds{0},
                     .after_max = milliseconds{2000}};
    CHECK(verdict(batch, rules) == ErrorCode::none);
    rules.after_max = milliseconds{1999};
    Validated late = validate(batch, rules);
    CHECK(late.error == ErrorCode::invalid_timestamp);
    REQUIRE(late.problems.size() == 1);
    CHECK(late.problems[0].index == 2);
    rules.check_times = false;
    CHECK(verdict(batch, rules) == ErrorCode::none);
    rules = {.now = wall_ms(day + 1),
             .check_times = true,
             .before_max = milliseconds{0},
             .after_max = milliseconds{-1}};
    CHECK(validate(batch, rules).problems.at(0).index == 0);
    rules.before_max = milliseconds{1};
    CHECK(verdict(batch, rules) == ErrorCode::none);
    rules.before_max = rules.after_max = milliseconds{std::numeric_limits<std::int64_t>::max()};
    CHECK(verdict(batch, rules) == ErrorCode::none);
    // A record without time stamp (-1) is never out of bounds.
    const Bytes none = make_batch(Codec::none, 1, {.header = [](wire::BatchHeader& h) {
                                      h.base_timestamp = h.max_timestamp = -1;
                                  }});
    rules.before_max = milliseconds{0};
    CHECK(verdict(none, rules) == ErrorCode::none);
}

TEST_CASE("validate: thousands of bad records are counted, the first few are named") {
    const Bytes batch = make_batch(Codec::lz4, 3000);
    const BatchRules rules{.now = wall_ms(0), .check_times = true, .after_max = milliseconds{0}};
    const Validated result = validate(batch, rules);
    CHECK(result.error == ErrorCode::invalid_timestamp);
    CHECK(result.problems.size() == record_problems_max);
    CHECK(result.message.find("3000 of 3000") != std::string::npos);
}

TEST_CASE("record walks: together or in pieces, the same records, the same damage") {
    struct Seen {
        std::vector<RecordFacts> facts;
        void operator()(std::int32_t index, const RecordFacts& f) {
            CHECK(static_cast<std::size_t>(index) == facts.size());
            facts.push_back(f);
        }
    };
    const Bytes batch = make_batch(Codec::none, 20);
    const Bytes good(batch.begin() + wire::batch_header_size, batch.end());
    std::mt19937 random(5);
    int damaged = 0;
    for (int round = 0; round < 20'000; ++round) {
        Bytes bytes = good;
        if (round > 0) {
            for (int i = 0; i <= round % 3; ++i) {
                // Mostly where the structure is, not in the values.
                const std::size_t record = random() % 20,
                                  at = record * (bytes.size() / 20) + random() % 14;
                bytes[at % bytes.size()] =
                    static_cast<std::uint8_t>(random() % 4 ? random() % 8 : random());
            }
            if (round % 5 == 0) bytes.resize(random() % bytes.size());
        }
        const Bytes exact(bytes);
        Seen together, in_pieces;
        const bool together_ok = walk_records(exact, 20, together);
        PieceWalk<Seen> walk(20, in_pieces);
        bool fed = true;
        for (ByteView left(exact); !left.empty() && fed;) {
            const std::size_t some = std::min<std::size_t>(left.size(), 1 + random() % 60);
            fed = static_cast<bool>(walk.feed(left.first(some)));
            left = left.subspan(some);
        }
        INFO("round=" << round);
        CHECK(together_ok == (fed && walk.finished()));
        if (!together_ok) ++damaged;
        // In pieces, a record that leaves its bytes is noticed later, so only whole walks show the
        // same.
        if (together_ok) {
            REQUIRE(together.facts.size() == in_pieces.facts.size());
            for (std::size_t i = 0; i < together.facts.size(); ++i) {
                CHECK(together.facts[i].timestamp_delta == in_pieces.facts[i].timestamp_delta);
                CHECK(together.facts[i].offset_delta == in_pieces.facts[i].offset_delta);
                CHECK(together.facts[i].keyless == in_pieces.facts[i].keyless);
            }
        }
    }
    CHECK(damaged > 10'000);
    CHECK(damaged < 19'990);
}
