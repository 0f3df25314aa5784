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
