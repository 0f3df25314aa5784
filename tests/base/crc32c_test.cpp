#include "sdk/base/crc32c.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace leat;

TEST_CASE("crc32c: the check value of RFC 3720 comes out") {
    CHECK(crc32c(0, bytes_of("123456789")) == 0xE3069283u);
    CHECK(crc32c(0, {}) == 0);
}

TEST_CASE("crc32c: pieces continue where the last one ended, at any cut and alignment") {
    std::vector<std::uint8_t> bytes(97);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
    const std::uint32_t whole = crc32c(0, bytes);
    CHECK(whole == 0x257398F2u);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        INFO("cut=", cut);
        CHECK(crc32c(crc32c(0, ByteView(bytes).first(cut)), ByteView(bytes).subspan(cut)) == whole);
    }
}

// Long inputs are read in lanes where the processor has what joins them: the same sum as byte by byte, whatever the length.
TEST_CASE("crc32c: long inputs, at every length around the lanes and at every alignment") {
    std::vector<std::uint8_t> bytes(4 * 1536 + 16);
    std::uint32_t state = 1;
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    std::uint32_t by_bits = ~0u;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        if (size % 1536 < 20 || size % 1536 > 1530) {
            const std::size_t start = size / 2 % 8 < size ? size / 2 % 8 : 0;
            const std::uint32_t head = crc32c(0, ByteView(bytes).first(start));
            INFO("size=", size);
            CHECK(crc32c(0, ByteView(bytes).first(size)) == ~by_bits);
            CHECK(crc32c(head, ByteView(bytes).first(size).subspan(start)) == ~by_bits);
        }
        if (size == bytes.size()) break;
        by_bits ^= bytes[size];
        for (int bit = 0; bit < 8; ++bit) by_bits = (by_bits >> 1) ^ ((by_bits & 1) ? 0x82F63B78u : 0);
    }
}
