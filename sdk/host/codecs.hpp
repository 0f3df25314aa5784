// The core's two compression interfaces, made of room compression.
#pragma once

#include <vector>

#include "sdk/base/codec.hpp"
#include "sdk/client/accumulator.hpp"
#include "sdk/client/fetcher.hpp"

namespace leat::host {

class Compressor final : public client::BatchCompressor {
public:
    explicit Compressor(Codec codec) : codec_(codec) {}
    Codec codec() const override { return codec_; }
    Result<std::size_t> compress(ByteView records, MutableBytes out) override;
    Result<std::size_t> expand(ByteView records, MutableBytes out) override;

private:
    Codec codec_;
    std::vector<std::uint8_t> scratch_;
};

/// Bounded: a batch that expands to more than `bytes_max` is refused as too_large.
class Decompressor final : public client::BatchDecompressor {
public:
    explicit Decompressor(std::size_t bytes_max = 128 * MiB) : bytes_max_(bytes_max) {}
    Result<ByteView> decompress(Codec codec, ByteView records) override;

private:
    std::size_t bytes_max_;
    std::vector<std::uint8_t> scratch_;
};

}  // namespace leat::host
