// CRC32C for any host: eight tables, eight bytes a step.
#include "sdk/base/crc32c.hpp"

namespace leat {
namespace {
constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected Castagnoli

struct Tables {
    std::uint32_t word[8][256];
    constexpr Tables() : word{} {
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            std::uint32_t crc = byte;
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? polynomial : 0);
            word[0][byte] = crc;
        }
        for (std::uint32_t byte = 0; byte < 256; ++byte)
            for (int slice = 1; slice < 8; ++slice)
                word[slice][byte] = (word[slice - 1][byte] >> 8) ^ word[0][word[slice - 1][byte] & 255];
    }
};
constexpr Tables tables;
}  // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) noexcept {
    crc = ~crc;
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        const std::uint32_t low = crc ^ load_little<std::uint32_t>(at);
        const std::uint32_t high = load_little<std::uint32_t>(at + 4);
        crc = tables.word[7][low & 255] ^ tables.word[6][(low >> 8) & 255] ^
              tables.word[5][(low >> 16) & 255] ^ tables.word[4][low >> 24] ^
              tables.word[3][high & 255] ^ tables.word[2][(high >> 8) & 255] ^
              tables.word[1][(high >> 16) & 255] ^ tables.word[0][high >> 24];
    }
    for (; left > 0; ++at, --left) crc = (crc >> 8) ^ tables.word[0][(crc ^ *at) & 255];
    return ~crc;
}

}  // namespace leat
