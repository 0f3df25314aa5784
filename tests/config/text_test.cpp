#include "broker/config/text.hpp"

#include "broker/config/geometry.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace leat::config;

TEST_CASE(
    "sizes: units are binary or decimal as they say; fractions, signs and overflow are refused") {
    CHECK(parse_size("1GiB") == 1u << 30);
    CHECK(parse_size("16 KiB") == 16384);
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("2MB") == 2'000'000);
    CHECK(parse_size("8388607TiB") == 8388607ull << 40);
    for (const char* wrong : {"", "GiB", "1G", "1gib", "-1", "1.5GiB", "1 GiB ", "8388608TiB",
                              "99999999999999999999", "0x10"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_size(wrong));
    }
}

TEST_CASE("durations: a bare number is milliseconds") {
    using leat::milliseconds;
    CHECK(parse_duration("100ms") == milliseconds(100));
    CHECK(parse_duration("100") == milliseconds(100));
    CHECK(parse_duration("7d") == milliseconds(604'800'000));
    CHECK(parse_duration("2h") == milliseconds(7'200'000));
    CHECK(parse_duration("5min") == parse_duration("5m"));
    for (const char* wrong : {"", "ms", "1 week", "-5s", "1e3"}) CHECK_FALSE(parse_duration(wrong));
}

TEST_CASE("addresses: IPv6 needs brackets, the port is 16 bits") {
    CHECK(*parse_host_port("a.b:9092") == HostPort{"a.b", 9092});
    CHECK(*parse_host_port("PLAINTEXT://10.0.0.1:1") == HostPort{"10.0.0.1", 1});
    CHECK(*parse_host_port("[fe80::1]:65535") == HostPort{"fe80::1", 65535});
    CHECK(*parse_host_port(":9092") == HostPort{"0.0.0.0", 9092});
    for (const char* wrong : {"", "host", "host:", "host:x", "host:65536", "host:-1", "::1:9092",
                              "[::1]", "[abc]:1", "a b:1", "SSL://a:1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_host_port(wrong));
    }
    for (const char* text : {"h:1", "[::1]:9092"}) CHECK(to_text(*parse_host_port(text)) == text);
    CHECK(is_loopback("127.0.0.53"));
    CHECK_FALSE(is_loopback("0.0.0.0"));
    CHECK_FALSE(is_loopback("1127.0.0.1"));
}

TEST_CASE("nearest: a typo is found, a stranger is not") {
    constexpr std::array<std::string_view, 3> words{"num.partitions", "listeners", "node.id"};
    CHECK(nearest("num.partition", words) == "num.partitions");
    CHECK(nearest("num_partitions", words) == "num.partitions");
    CHECK(nearest("lsiteners", words) == "listeners");
    CHECK(nearest("NodeID", words) == "node.id");
    CHECK_FALSE(nearest("zookeeper.connect", words));
    CHECK_FALSE(nearest(std::string(5000, 'n'), words));
}

TEST_CASE(
    "a new log's segments hold two of the largest batches where 32 of them fit, and are never too "
    "many") {
    constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
    CHECK(segment_bytes_for(64 * mib, 1 * mib) == 2 * mib);
    CHECK(segment_bytes_for(64 * mib - 1, 1 * mib) == 1 * mib);
    CHECK(segment_bytes_for(1 * gib, 1 * mib) == 2 * mib);
    CHECK(segment_bytes_for(1 * gib, 16 * kib) == 64 * kib);
    CHECK(segment_bytes_for(2 * mib, 1 * mib) == 64 * kib);
    CHECK(segment_bytes_for(128 * gib, 1 * mib) == 8 * mib);
    CHECK(segment_bytes_for(~std::uint64_t{0}, ~std::uint32_t{0}) == 64 * mib);
}
