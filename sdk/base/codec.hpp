// The five compression codecs of Kafka, by their number in bits 0 to 2 of a batch's attributes. It
// stands in base because both wire (which names it) and compression (which does it) need it.
#pragma once

#include <cstdint>

namespace leat {

/// A peer may send 5 to 7: such a value has no name here, and decompress answers `unsupported`.
enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

}  // namespace leat
