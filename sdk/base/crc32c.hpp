#pragma once
#include "sdk/base/bytes.hpp"

namespace leat {

/// CRC-32C (Castagnoli, RFC 3720 B.4), as in RecordBatch v2 and on flash.
///
/// crc      0 for the first piece, the previous result for the next: crc32c(crc32c(0, a), b) == crc32c(0, ab)
/// returns  crc32c(0, "123456789") == 0xE3069283
std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) noexcept;

}  // namespace leat
