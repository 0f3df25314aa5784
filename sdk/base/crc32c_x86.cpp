// CRC32C with the SSE4.2 instruction, which every x86-64 gateway since 2008 has; without it, bit by bit.
#include "sdk/base/crc32c.hpp"

namespace leat {
namespace {

[[gnu::target("sse4.2")]] std::uint32_t by_instruction(std::uint32_t crc, ByteView bytes) {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t wide = crc;
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (; left > 0; ++at, --left) crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}

std::uint32_t by_bits(std::uint32_t crc, ByteView bytes) {
    for (std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
    }
    return crc;
}

const bool has_instruction = __builtin_cpu_supports("sse4.2");

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) noexcept {
    return ~(has_instruction ? by_instruction(~crc, bytes) : by_bits(~crc, bytes));
}

}  // namespace leat
