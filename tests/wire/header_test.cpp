#include "sdk/wire/header.hpp"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "sdk/wire/api/18_api_versions.hpp"

using namespace leat;
using namespace leat::wire;

using Bytes = std::vector<std::uint8_t>;

namespace {

Bytes encoded(const RequestHeader& header) {
    std::array<std::uint8_t, 64> memory;
    Result<std::size_t> size = encode_request_header(header, memory);
    REQUIRE(size);
    CHECK(*size == request_header_size(header));
    return Bytes(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(*size));
}

}  // namespace

TEST_CASE("header: v1 has no tags, v2 has them, and both write the client id the classic way") {
    RequestHeader header{ApiKey::produce, 8, 7, "ab"};
    CHECK(encoded(header) == Bytes{0, 0, 0, 8, 0, 0, 0, 7, 0, 2, 'a', 'b'});
    header.api_version = 9;
    CHECK(encoded(header) == Bytes{0, 0, 0, 9, 0, 0, 0, 7, 0, 2, 'a', 'b', 0});
    header.client_id = nullptr;
    CHECK(encoded(header) == Bytes{0, 0, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0});
}

TEST_CASE("header: what is encoded is cut again, for every key and version") {
    for (const Api& api : apis())
        for (std::int16_t version = api.codec.first; version <= api.codec.last; ++version) {
            Bytes frame = encoded({api.key, version, -5, "client"});
            frame.insert(frame.end(), {1, 2, 3});
            Result<Request> request = decode_request(frame);
            INFO(api.name, " v", version);
            REQUIRE(request);
            CHECK(request->header.api_key == api.key);
            CHECK(request->header.api_version == version);
            CHECK(request->header.correlation_id == -5);
            CHECK(request->header.client_id == StringView("client"));
            CHECK(Bytes(request->body.begin(), request->body.end()) == Bytes{1, 2, 3});
            for (std::size_t cut = 0; cut < frame.size() - 3; ++cut)
                CHECK(!decode_request(ByteView(frame).first(cut)));

            std::array<std::uint8_t, 8> memory;
            Result<std::size_t> size = encode_response_header(api.key, version, 9, memory);
            REQUIRE(size);
            CHECK(*size == response_header_size(api.key, version));
            Result<Response> response =
                decode_response(ByteView(memory).first(*size), api.key, version);
            REQUIRE(response);
            CHECK(response->correlation_id == 9);
            CHECK(response->body.empty());
            CHECK(!decode_response(ByteView(memory).first(*size - 1), api.key, version));
        }
}

TEST_CASE("header: ApiVersions answers with header v0 in every version") {
    for (std::int16_t version : {0, 3, 4, 5, 99})
        CHECK(response_header_size(ApiKey::api_versions, version) == 4);
    CHECK(response_header_size(ApiKey::produce, 9) == 5);
    CHECK(response_header_size(ApiKey::sasl_handshake, 1) == 4);
}

TEST_CASE("header: an unknown key is unsupported, a too new version of a known one is not") {
    const Bytes unknown{0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff};
    CHECK(decode_request(unknown).error() == Error::unsupported);
    const Bytes newer{0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0, 0xab};
    Result<Request> request = decode_request(newer);
    REQUIRE(request);
    CHECK(request->header.api_version == 99);
    CHECK(request->header.correlation_id == 1);
    CHECK(request->body.size() == 1);
}

TEST_CASE("header: tags of newer clients are skipped") {
    const Bytes frame{0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 'c', 1, 5, 2, 0xaa, 0xbb, 0x77};
    Result<Request> request = decode_request(frame);
    REQUIRE(request);
    CHECK(Bytes(request->body.begin(), request->body.end()) == Bytes{0x77});
}

TEST_CASE("api versions: a version that is not spoken is answered with exactly the v0 bytes") {
    std::array<std::uint8_t, 32> memory;
    Result<std::size_t> size = unsupported_api_versions_body(memory);
    REQUIRE(size);
    CHECK(Bytes(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(*size)) ==
          Bytes{0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4});
    CHECK(unsupported_api_versions_body(MutableBytes(memory).first(11)).error() == Error::full);
}

TEST_CASE("api table: what is accepted lies within what is spoken, in rising order") {
    std::int16_t before = -1;
    for (const Api& api : apis()) {
        INFO(api.name);
        CHECK(static_cast<std::int16_t>(api.key) > before);
        before = static_cast<std::int16_t>(api.key);
        CHECK(api.codec.has(api.accepted.first));
        CHECK(api.codec.has(api.accepted.last));
        CHECK(api.advertised_first <= api.accepted.first);
        CHECK(find_api(api.key) == &api);
    }
    CHECK(find_api(ApiKey::produce)->advertised_first == 0);
    CHECK(find_api(std::int16_t{4}) == nullptr);
    CHECK(find_api(std::int16_t{-1}) == nullptr);
}
