// Held against Kafka's own encoder: every message here was written by kafka-clients 4.3.1.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <tuple>

#include "sdk/wire/error_code.hpp"
#include "sdk/wire/header.hpp"
#include "tests/golden/vectors.hpp"

using namespace leat;
using namespace leat::wire;
using namespace leat::wire::golden;

namespace {

constexpr int messages_per_pair = 200;

bool same(const std::vector<std::uint8_t>& bytes, ByteView expected) {
    return equal(bytes, expected);
}

/// Reads each of Kafka's messages of version N with the decoder that knows only N. What it saw is
/// written by the run-time encoder, so the two must agree on every field.
template <class M, std::int16_t N>
void check_fixed(Direction direction) {
    VectorFile file(static_cast<std::int16_t>(M::api_key));
    int messages = 0, messages_equal = 0;
    for (const Vector& vector : file.vectors()) {
        if (vector.direction != direction || vector.version != N) continue;
        ++messages;
        Result<M> m = decode<M>(vector.message, std::integral_constant<std::int16_t, N>{});
        if (!m) continue;
        std::vector<std::uint8_t> again(vector.message.size());
        Result<std::size_t> size = encode(*m, N, again);
        messages_equal += size && *size == again.size() && same(again, vector.message);
    }
    INFO("key ", static_cast<int>(M::api_key), " v", N);
    CHECK(messages == messages_per_pair);
    CHECK(messages_equal == messages);
}

}  // namespace

TEST_CASE("golden: the decoders of one version, which devices use, read the same") {
    check_fixed<ProduceRequest, 9>(Direction::request);
    check_fixed<ProduceResponse, 9>(Direction::response);
    check_fixed<ProduceResponse, 10>(Direction::response);  // the first with tagged fields
    check_fixed<ProduceResponse, 3>(Direction::response);
    check_fixed<FetchRequest, 18>(Direction::request);
    check_fixed<FetchResponse, 12>(Direction::response);
    check_fixed<ListOffsetsResponse, 7>(Direction::response);
    check_fixed<MetadataResponse, 12>(Direction::response);
    check_fixed<ApiVersionsResponse, 3>(Direction::response);
    check_fixed<InitProducerIdResponse, 4>(Direction::response);
}

TEST_CASE("golden: the table of messages and the table of APIs name the same versions") {
    for (const Api& api : apis()) {
        INFO(api.name);
        for (Direction direction : {Direction::request, Direction::response}) {
            const Kind* kind = find_kind(static_cast<std::int16_t>(api.key), direction);
            REQUIRE(kind);
            CHECK(kind->versions.first == api.codec.first);
            CHECK(kind->versions.last == api.codec.last);
            CHECK(kind->versions.flexible == api.codec.flexible);
        }
    }
    CHECK(apis().size() + 1 == std::size(kind_pairs));
}

TEST_CASE("golden: every message of Kafka's encoder decodes and encodes again byte-equal") {
    int pairs = 0, pairs_expected = 0, messages = 0, messages_equal = 0;
    std::vector<std::uint8_t> again;
    for (const auto& kinds : kind_pairs) {
        VectorFile file(kinds[0].key);
        INFO(file.path());
        std::map<std::tuple<Direction, std::int16_t>, int> equal_per_pair;
        for (const Vector& vector : file.vectors()) {
            const Kind& kind = kinds[static_cast<std::size_t>(vector.direction)];
            Status status = kind.recode(vector.message, vector.version, again);
            bool equal = status && same(again, vector.message);
            ++messages;
            messages_equal += equal;
            equal_per_pair[{vector.direction, vector.version}] += equal;
            if (!equal && messages - messages_equal < 10) {
                INFO(kind.name, " v", vector.version, " message ", messages);
                CHECK(equal);
            }
        }
        for (const Kind& kind : kinds)
            for (std::int16_t version = kind.versions.first; version <= kind.versions.last;
                 ++version) {
                INFO(kind.name, " v", version);
                int count = equal_per_pair[{kind.direction, version}];
                CHECK(count == messages_per_pair);
                ++pairs_expected;
                pairs += count == messages_per_pair;
            }
    }
    std::printf("golden: %d of %d pairs of version and direction, %d of %d messages byte-equal\n",
                pairs, pairs_expected, messages_equal, messages);
    CHECK(pairs == pairs_expected);
    CHECK(messages == pairs_expected * messages_per_pair);
}

TEST_CASE("golden: a message that is cut anywhere is refused") {
    std::vector<std::uint8_t> again;
    std::mt19937 random(1);
    for (const auto& kinds : kind_pairs) {
        VectorFile file(kinds[0].key);
        int number = 0;
        for (const Vector& vector : file.vectors()) {
            const Kind& kind = kinds[static_cast<std::size_t>(vector.direction)];
            INFO(kind.name, " v", vector.version, " message ", number);
            bool all = number++ % 50 == 0;  // all lengths of some messages, some lengths of all
            std::size_t tries =
                all ? vector.message.size() : std::min<std::size_t>(vector.message.size(), 4);
            std::size_t accepted = 0;
            for (std::size_t i = 0; i < tries; ++i) {
                std::size_t cut = all ? i : random() % vector.message.size();
                // A copy of its own size: one byte read too far is one that a sanitizer sees.
                std::vector<std::uint8_t> bytes(vector.message.begin(),
                                                vector.message.begin() + long(cut));
                accepted += static_cast<bool>(kind.recode(bytes, vector.version, again));
            }
            if (accepted > 0) CHECK(accepted == 0);
            std::vector<std::uint8_t> longer(vector.message.begin(), vector.message.end());
            longer.push_back(0);
            bool refused = !kind.recode(longer, vector.version, again);
            if (!refused) CHECK(refused);
        }
        CHECK(number > 0);
    }
}

TEST_CASE("golden: damaged messages are refused or read as another message, which is stable") {
    std::vector<std::uint8_t> once, twice;
    std::mt19937 random(2);
    int read = 0, refused = 0;
    std::array<char, 200> text;
    for (const auto& kinds : kind_pairs) {
        VectorFile file(kinds[0].key);
        for (const Vector& vector : file.vectors()) {
            const Kind& kind = kinds[static_cast<std::size_t>(vector.direction)];
            if (vector.message.empty()) continue;
            std::vector<std::uint8_t> bytes(vector.message.begin(), vector.message.end());
            for (unsigned flips = 1 + random() % 3; flips > 0; --flips)
                bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
            Status status = kind.recode(bytes, vector.version, once);
            if (!status) {
                bool expected =
                    status.error() == Error::truncated || status.error() == Error::malformed;
                INFO(kind.name, " v", vector.version, ": ", error_text(status.error()));
                if (!expected) CHECK(expected);
                ++refused;
                continue;
            }
            ++read;
            bool stable = kind.recode(once, vector.version, twice) && once == twice;
            INFO(kind.name, " v", vector.version);
            if (!stable) CHECK(stable);
            (void)kind.print(bytes, vector.version, std::span(text));
        }
    }
    // Both must happen, or the damage was none.
    CHECK(read > 1000);
    CHECK(refused > 1000);
}

TEST_CASE("golden: versions outside the range are refused in both directions") {
    std::vector<std::uint8_t> out;
    for (const auto& kinds : kind_pairs)
        for (const Kind& kind : kinds)
            for (int version :
                 {kind.versions.first - 1, kind.versions.last + 1, -1, 32767, -32768}) {
                INFO(kind.name, " v", version);
                Status status = kind.recode({}, static_cast<std::int16_t>(version), out);
                REQUIRE(!status);
                CHECK(status.error() == Error::unsupported);
            }
}

TEST_CASE("golden: error codes and header versions are those of Kafka's own tables") {
    std::ifstream file(LEAT_GOLDEN_VECTORS "/tables.txt");
    int errors = 0, headers = 0, code = 0, version = 0, request_header = 0, response_header = 0;
    for (std::string kind; file >> kind;) {
        std::string kafka_name, retry, metadata;
        if (kind == "error") {
            file >> code >> kafka_name >> retry >> metadata;
            INFO(kafka_name);
            const auto error = static_cast<ErrorCode>(code);
            CHECK(name(error) == kafka_name);
            CHECK(retriable(error) == (retry == "retriable"));
            CHECK(stale_metadata(error) == (metadata == "stale"));
            ++errors;
        } else {
            int key = 0;
            file >> key >> kafka_name >> version >> request_header >> response_header;
            INFO(kafka_name, " v", version);
            const Api* api = find_api(static_cast<std::int16_t>(key));
            REQUIRE(api);
            CHECK(api->codec.has(static_cast<std::int16_t>(version)));
            CHECK(is_flexible(api->key, static_cast<std::int16_t>(version)) ==
                  (request_header == 2));
            CHECK((response_header_size(api->key, static_cast<std::int16_t>(version)) == 5) ==
                  (response_header == 1));
            CHECK(api->name == kafka_name);
            ++headers;
        }
    }
    CHECK(errors == 135);
    int versions = 0;
    for (const Api& api : apis()) versions += api.codec.last - api.codec.first + 1;
    CHECK(headers == versions);
}
