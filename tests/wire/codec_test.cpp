#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "sdk/wire/api/consumer_protocol.hpp"
#include "sdk/wire/runtime.hpp"

using namespace leat;
using namespace leat::wire;

namespace {

using Bytes = std::vector<std::uint8_t>;
template <std::int16_t N>
constexpr std::integral_constant<std::int16_t, N> fixed{};

/// A message of the test's own, with what real ones seldom have together.
struct Probe {
    struct Inner {
        std::int32_t number = -1;
        StringView text;

        static void fields(auto& io, auto& m) {
            io("number", m.number);
            io("text", m.text, since(1).nullable());
        }
        bool operator==(const Inner&) const = default;
    };

    std::int8_t plain = 0;
    Array<Inner> inners;
    StringView note = nullptr;
    Inner boxed;
    std::int64_t epoch = -1;
    Array<std::int32_t> numbers;

    static constexpr Versions versions{.first = 0, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("plain", m.plain);
        io("inners", m.inners, since(1).nullable(2));
    }
    static constexpr void tags(auto& io, auto& m) {
        io(0, "note", m.note, since(2).nullable(), StringView(nullptr));
        io(2, "boxed", m.boxed, since(2));
        io(5, "epoch", m.epoch, since(3), -1);
        io(6, "numbers", m.numbers, since(3));
    }
};

template <class M>
Bytes encoded(const M& m, std::int16_t version) {
    Bytes bytes(encoded_size(m, version));
    Result<std::size_t> size = encode(m, version, bytes);
    REQUIRE(size);
    REQUIRE(*size == bytes.size());
    return bytes;
}

template <class M>
Error decode_error(const Bytes& bytes, std::int16_t version) {
    Result<M> m = decode<M>(bytes, version);
    REQUIRE(!m);
    return m.error();
}

template <class M>
std::string printed(const M& m, std::int16_t version) {
    std::array<char, 400> text;
    return {text.data(), print(m, version, text)};
}

}  // namespace

template struct leat::wire::Runtime<Probe>;

TEST_CASE(
    "codec: tagged fields are left out at their default and stand in the order of their tags") {
    Probe probe;
    probe.plain = 7;
    CHECK(encoded(probe, 2) == Bytes{7, 1, 0});
    probe.epoch = 1;
    CHECK(encoded(probe, 2) == Bytes{7, 1, 0});  // not in this version
    probe.note = "n";
    CHECK(encoded(probe, 3) == Bytes{7, 1, 2, 0, 2, 2, 'n', 5, 8, 0, 0, 0, 0, 0, 0, 0, 1});
    const std::int32_t numbers[] = {1};
    probe.numbers = std::span(numbers);
    probe.epoch = -1;
    probe.boxed.number = 2;
    CHECK(encoded(probe, 3) ==
          Bytes{7, 1, 3, 0, 2, 2, 'n', 2, 6, 0, 0, 0, 2, 1, 0, 6, 5, 2, 0, 0, 0, 1});
}

TEST_CASE("codec: unknown tags are skipped wherever they stand, known ones are read in any order") {
    const Bytes bytes{7, 2, 0, 0, 0, 9, 1, 1, 3, 2, 'x', 'y', 2, 4, 1, 0xff, 0, 2, 2, 'n'};
    Result<Probe> probe = decode<Probe>(bytes, 2);
    REQUIRE(probe);
    REQUIRE(probe->inners.size() == 1);
    CHECK(probe->inners.front().number == 9);
    CHECK(probe->inners.front().text.empty());
    CHECK(probe->note == StringView("n"));
}

TEST_CASE("codec: a tag's field must use its bytes, and cannot reach beyond them") {
    CHECK(decode_error<Probe>({7, 1, 1, 0, 3, 2, 'n', 0}, 2) == Error::malformed);
    CHECK(decode_error<Probe>({7, 1, 1, 0, 1, 2, 'n'}, 2) == Error::truncated);
    CHECK(decode_error<Probe>({7, 1, 1, 0, 9, 2, 'n'}, 2) == Error::truncated);
}

TEST_CASE("codec: null, versions and the end are held to") {
    CHECK(decode<Probe>(Bytes{7, 0, 0}, 2)->inners.is_null());
    CHECK(decode_error<Probe>({7, 0xff, 0xff, 0xff, 0xff}, 1) == Error::malformed);
    CHECK(decode_error<Probe>({7, 1}, 0) == Error::malformed);  // something follows
    CHECK(decode_error<Probe>({}, 0) == Error::truncated);
    CHECK(decode_error<Probe>({7}, 4) == Error::unsupported);
    CHECK(decode_error<Probe>({7}, -1) == Error::unsupported);
    // Two billion elements promised by eight bytes.
    CHECK(decode_error<Probe>({7, 0x7f, 0xff, 0xff, 0xfe, 0, 0, 0}, 1) == Error::truncated);

    Probe probe;
    probe.inners = nullptr;
    Bytes memory(64);
    CHECK(encode(probe, 1, memory).error() == Error::invalid);
    CHECK(encode(probe, 2, memory).value_or(0) == 3);
    CHECK(encode(probe, 9, memory).error() == Error::unsupported);
}

TEST_CASE(
    "codec: decode_front leaves what follows a whole message, and still refuses half of one") {
    Result<Probe> probe = decode_front<Probe>(Bytes{7, 1}, 0);
    REQUIRE(probe);
    CHECK(decode_error<Probe>({7, 1}, 0) == Error::malformed);
    CHECK(decode_front<Probe>(Bytes{}, 0).error() == Error::truncated);
    CHECK(decode_front<Probe>(Bytes{7, 0x7f, 0xff, 0xff, 0xfe, 0, 0, 0}, 1).error() ==
          Error::truncated);
}

TEST_CASE("codec: the elements of all arrays are counted, nested ones with them") {
    const AlterClientQuotasRequest::EntryData::EntityData entities[] = {{"user", "a"}, {"ip", "b"}};
    const AlterClientQuotasRequest::EntryData::OpData changes[] = {{"x", 1, false}};
    std::array<AlterClientQuotasRequest::EntryData, 3> entries;
    for (auto& entry : entries) entry.entity = entities;
    entries[1].ops = changes;
    AlterClientQuotasRequest request, told;
    for (const std::int16_t version : {0, 1}) {
        const auto count = [&](ByteView bytes) {
            return Runtime<AlterClientQuotasRequest>::decode_front(bytes, version, told);
        };
        request.entries = {};
        CHECK(count(encoded(request, version)).value_or(9) == 0);
        request.entries = entries;
        const Bytes bytes = encoded(request, version);
        CHECK(count(bytes).value_or(0) == 3 + 3 * 2 + 1);
        CHECK_FALSE(count(ByteView(bytes).first(bytes.size() / 2)));
    }
}

TEST_CASE("codec: a decoded array can be iterated twice and encoded again in another version") {
    const Probe::Inner inners[] = {{1, "a"}, {2, nullptr}, {3, ""}};
    Probe probe;
    probe.inners = inners;
    const Bytes bytes = encoded(probe, 1);
    Result<Probe> again = decode<Probe>(bytes, 1);
    REQUIRE(again);
    for (int turn = 0; turn < 2; ++turn) {
        std::size_t i = 0;
        for (const Probe::Inner& inner : again->inners) CHECK(inner == inners[i++]);
        CHECK(i == 3);
    }
    CHECK(encoded(*again, 3) == encoded(probe, 3));
    CHECK(again->inners.items().empty());
    CHECK(probe.inners.items().size() == 3);
}

TEST_CASE("codec: a fixed version writes and reads what a run-time version does") {
    const ProduceRequest::PartitionProduceData partitions[] = {{0, bytes_of("batch")},
                                                               {1, nullptr}};
    const ProduceRequest::TopicProduceData topics[] = {{"sensors", {}, partitions}};
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 1500;
    request.topic_data = topics;
    std::array<std::uint8_t, 128> memory;
    auto same = [&](auto version) {
        Result<std::size_t> size = encode(request, version, memory);
        REQUIRE(size);
        CHECK(*size == encoded_size(request, version));
        CHECK(Bytes(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(*size)) ==
              encoded(request, decltype(version)::value));
        Result<ProduceRequest> read =
            decode<ProduceRequest>(ByteView(memory).first(*size), version);
        REQUIRE(read);
        CHECK(encoded(*read, decltype(version)::value) ==
              encoded(request, decltype(version)::value));
        // What was decoded is not a span, and a fixed version takes nothing else.
        std::array<std::uint8_t, 128> other;
        CHECK(encode(*read, version, other).error() == Error::invalid);
    };
    same(fixed<3>);
    same(fixed<8>);
    same(fixed<9>);
    same(fixed<13>);

    ApiVersionsResponse response;
    response.finalized_features_epoch = 3;
    Result<std::size_t> size = encode(response, fixed<4>, memory);
    REQUIRE(size);
    CHECK(Bytes(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(*size)) ==
          encoded(response, 4));
    CHECK(decode<ApiVersionsResponse>(ByteView(memory).first(*size), fixed<4>)
              ->finalized_features_epoch == 3);
}

TEST_CASE("codec: records that stand elsewhere leave a gap where they belong") {
    const Bytes records(300, 0x5a);
    ProduceRequest::PartitionProduceData partitions[] = {{4, BytesView::elsewhere(300)},
                                                         {5, BytesView::elsewhere(0)}};
    ProduceRequest::TopicProduceData topic{"t", {}, partitions};
    ProduceRequest request;
    request.topic_data = std::span(&topic, 1);
    Bytes memory(64);
    std::array<Gap, 2> gaps;
    Result<Apart> apart = encode_apart(request, 9, memory, gaps);
    REQUIRE(apart);
    CHECK(apart->gaps == 2);
    CHECK(apart->total == encoded_size(request, 9));
    CHECK(apart->written + 300 == apart->total);

    Bytes joined(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(gaps[0].at));
    joined.insert(joined.end(), records.begin(), records.end());
    joined.insert(joined.end(), memory.begin() + static_cast<std::ptrdiff_t>(gaps[0].at),
                  memory.begin() + static_cast<std::ptrdiff_t>(apart->written));
    partitions[0].records = ByteView(records);
    partitions[1].records = ByteView();
    CHECK(joined == encoded(request, 9));

    partitions[0].records = BytesView::elsewhere(300);
    CHECK(encode(request, 9, memory).error() == Error::invalid);
    CHECK(encode_apart(request, 9, memory, {}).error() == Error::invalid);
}

TEST_CASE("codec: InitProducerId v4 is the bytes that its schema says") {
    InitProducerIdRequest request;
    request.transaction_timeout_ms = 60000;
    CHECK(encoded(request, 4) == Bytes{0, 0, 0, 0xea, 0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0});
}

TEST_CASE("consumer protocol: a newer version is read as the newest known, with its tail ignored") {
    const StringView names[] = {"a", "b"};
    ConsumerProtocolSubscription subscription;
    subscription.topics = names;
    subscription.generation_id = 5;
    Bytes bytes(64);
    Result<std::size_t> size = encode_subscription(subscription, 3, bytes);
    REQUIRE(size);
    bytes.resize(*size);
    bytes[1] = 9;
    bytes.insert(bytes.end(), {1, 2, 3});
    Result<ConsumerProtocolSubscription> read = decode_subscription(bytes);
    REQUIRE(read);
    CHECK(read->topics.size() == 2);
    CHECK(read->generation_id == 5);
    bytes[0] = 0xff;
    CHECK(decode_subscription(bytes).error() == Error::unsupported);
    CHECK(decode_subscription(ByteView(bytes).first(1)).error() == Error::truncated);
    CHECK(decode_assignment(Bytes{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})->user_data.is_null());
}

TEST_CASE("print: a message shows its fields of that version, and never its bytes") {
    const Probe::Inner inners[] = {{1, "a\"\n"}, {-2, nullptr}};
    Probe probe;
    probe.inners = inners;
    CHECK(printed(probe, 0) == "{plain: 0}");
    CHECK(printed(probe, 1) ==
          R"({plain: 0, inners: [{number: 1, text: "a\"\x0a"}, {number: -2, text: null}]})");
    CHECK(printed(probe, 2).find("note: null, boxed: {number: -1, text: \"\"}}") !=
          std::string::npos);

    ProduceRequest::PartitionProduceData partition{0, bytes_of("secret")};
    ProduceRequest::TopicProduceData topic{"t", {}, std::span(&partition, 1)};
    ProduceRequest request;
    request.topic_data = std::span(&topic, 1);
    CHECK(printed(request, 9).find("records: <6 bytes>") != std::string::npos);
    CHECK(printed(request, 9).find("secret") == std::string::npos);
    std::array<char, 10> small;
    CHECK(print(request, 9, small) == 10);

    InitProducerIdResponse response;
    response.error_code = ErrorCode::not_coordinator;
    CHECK(printed(response, 4).find("error_code: NOT_COORDINATOR") != std::string::npos);
}

TEST_CASE("print: a number that no integer holds shows as what it is") {
    using Entry = AlterClientQuotasRequest::EntryData;  // the one API with a float
    const auto shown = [](double value) {
        const Entry::OpData op{"rate", value, false};
        Entry entry;
        entry.ops = std::span(&op, 1);
        AlterClientQuotasRequest request;
        request.entries = std::span(&entry, 1);
        return printed(request, 1);
    };
    CHECK(shown(0.5).find("value: 0.5") != std::string::npos);
    CHECK(shown(-1e300).find("value: -1e+300") != std::string::npos);
    CHECK(shown(std::numeric_limits<double>::quiet_NaN()).find("nan") != std::string::npos);
}

TEST_CASE(
    "error codes: Kafka's names and judgement, and a code that nobody knows stays what it is") {
    CHECK(std::string(name(ErrorCode::not_leader_or_follower)) == "NOT_LEADER_OR_FOLLOWER");
    CHECK(std::string(name(static_cast<ErrorCode>(9999))) == "UNKNOWN");
    CHECK(retriable(ErrorCode::not_enough_replicas));
    CHECK(!retriable(ErrorCode::message_too_large));
    CHECK(!retriable(ErrorCode::none));
    CHECK(!retriable(static_cast<ErrorCode>(9999)));
    CHECK(stale_metadata(ErrorCode::not_leader_or_follower));
    CHECK(!stale_metadata(ErrorCode::request_timed_out));
    Bytes bytes = encoded(InitProducerIdResponse{}, 0);
    bytes[4] = 0x27;
    bytes[5] = 0x0f;
    CHECK(static_cast<int>(decode<InitProducerIdResponse>(bytes, 0)->error_code) == 9999);
}
