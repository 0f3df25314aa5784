// CRC32C for kilobytes of flash: a table of 16 words, 10 instructions a byte on a Cortex-M3.
#include "sdk/base/crc32c.hpp"

namespace leat {
namespace {
constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected Castagnoli

struct Table {
    std::uint32_t word[16];
    constexpr Table() : word{} {
        for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
            std::uint32_t crc = nibble;
            for (int bit = 0; bit < 4; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? polynomial : 0);
            word[nibble] = crc;
        }
    }
};
constexpr Table table;
}  // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) noexcept {
    crc = ~crc;
    for (std::uint8_t byte : bytes) {
        crc ^= byte;
        crc = (crc >> 4) ^ table.word[crc & 15];
        crc = (crc >> 4) ^ table.word[crc & 15];
    }
    return ~crc;
}

}  // namespace leat
