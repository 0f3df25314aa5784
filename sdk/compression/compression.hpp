// Kafka's four codecs, whole block in, whole block out, always bounded.
//
// gzip    RFC 1952, members one after the other
// snappy  written as Java writes it (xerial framing: magic, then length-prefixed blocks of 32 KiB);
//         read in that form and as one raw block, which librdkafka and others write
// lz4     one LZ4 frame, independent blocks of 64 KiB (Java's reader knows no others)
// zstd    frames with a window of at most 8 MiB
//
// What is compressed comes from strangers. So no call uses more memory than its output bound plus
// about 9 MiB of a library's own state (zstd's window; gzip 50 KiB, lz4 up to 8.2 MiB, snappy
// none), no length in the input is believed before that much output really came, and a bomb is
// refused as soon as it passes the bound.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/base/codec.hpp"

namespace leat::compression {

constexpr int zstd_window_log_max = 23;               ///< 8 MiB
constexpr std::size_t snappy_block_bytes = 32 * KiB;  ///< what xerial's writer puts in a block

/// Decompresses all of `in` to the front of `out`; the number of bytes. Codec::none copies.
///
/// fails: too_large (more than out.size() bytes, or a zstd window above 8 MiB) · truncated (the
/// input ends early) · malformed (not that format, a bad checksum, bytes behind the end) ·
/// unsupported (no such codec)
Result<std::size_t> decompress(Codec codec, ByteView in, MutableBytes out);

/// The same into a vector that grows as bytes come, to at most `limit`. On failure `out` holds
/// what came.
Status decompress(Codec codec, ByteView in, std::vector<std::uint8_t>& out, std::size_t limit);

/// The same in pieces of at most 64 KiB that are gone after the call: what only needs to be looked
/// at once needs no memory for the whole. A piece that `visit` refuses ends it with visit's error.
using ChunkVisitor = std::function<Status(ByteView chunk)>;
Status decompress_chunks(Codec codec, ByteView in, std::size_t limit, const ChunkVisitor& visit);

/// Compresses `in` into `out`, replacing what was there. Codec::none copies.
/// fails: unsupported (no such codec) · too_large (`in` above 1 GiB)
Status compress(Codec codec, ByteView in, std::vector<std::uint8_t>& out);

}  // namespace leat::compression
