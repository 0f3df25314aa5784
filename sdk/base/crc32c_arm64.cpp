// CRC32C with the instruction that ARMv8 cores have (all of ARMv8.1, and nearly all before it); without it, a nibble at a time.
#include <sys/auxv.h>

#include "sdk/base/crc32c.hpp"

namespace leat {
namespace {

[[gnu::target("+crc")]] std::uint32_t by_instruction(std::uint32_t crc, ByteView bytes) {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) crc = __builtin_aarch64_crc32cx(crc, load_little<std::uint64_t>(at));
    for (; left > 0; ++at, --left) crc = __builtin_aarch64_crc32cb(crc, *at);
    return crc;
}

struct Table {
    std::uint32_t word[16];
    constexpr Table() : word{} {
        for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
            std::uint32_t crc = nibble;
            for (int bit = 0; bit < 4; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
            word[nibble] = crc;
        }
    }
};
constexpr Table table;

std::uint32_t by_nibbles(std::uint32_t crc, ByteView bytes) {
    for (std::uint8_t byte : bytes) {
        crc ^= byte;
        crc = (crc >> 4) ^ table.word[crc & 15];
        crc = (crc >> 4) ^ table.word[crc & 15];
    }
    return crc;
}

const bool has_instruction = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) noexcept {
    return ~(has_instruction ? by_instruction(~crc, bytes) : by_nibbles(~crc, bytes));
}

}  // namespace leat
