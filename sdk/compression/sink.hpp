// Where decompressed bytes go. A decoder asks for room, writes there, and says how much it wrote;
// so one decoder per codec serves fixed memory, a growing vector and a visitor.
#pragma once

#include <algorithm>

#include "sdk/compression/compression.hpp"

namespace leat::compression {

class Sink {
public:
    explicit Sink(std::size_t limit) : limit_(limit) {}
    virtual ~Sink() = default;

    /// Where the next bytes go: at least one byte, unless nothing is allowed any more. At the bound
    /// it is one byte of scratch, because a decoder with no room at all could not say that it is at
    /// the end.
    MutableBytes room() {
        if (written_ == limit_) return {&beyond_, 1};
        const MutableBytes room = next_room(limit_ - written_);
        return room.first(std::min(room.size(), limit_ - written_));
    }
    /// fails: too_large when the bytes went beyond the bound · what a visitor refused with
    Status wrote(std::size_t count) {
        if (count == 0) return ok();
        if (written_ == limit_) return fail(Error::too_large);
        written_ += count;
        return take(count);
    }
    /// Bytes that lie elsewhere.
    Status put(ByteView bytes) {
        while (!bytes.empty()) {
            const MutableBytes to = room();
            const std::size_t count = std::min(to.size(), bytes.size());
            copy_bytes(bytes.first(count), to);
            if (const Status status = wrote(count); !status) return status;
            bytes = bytes.subspan(count);
        }
        return ok();
    }
    std::size_t written() const { return written_; }
    std::size_t left() const { return limit_ - written_; }

protected:
    virtual MutableBytes next_room(std::size_t left) = 0;  ///< left > 0; not empty
    virtual Status take(
        std::size_t count) = 0;  ///< `count` bytes stand at the front of the last room

private:
    std::size_t limit_;
    std::size_t written_ = 0;
    std::uint8_t beyond_ = 0;
};

Status inflate_gzip(ByteView in, Sink& sink);
Status decode_snappy(ByteView in, Sink& sink);
Status decode_lz4(ByteView in, Sink& sink);
Status decode_zstd(ByteView in, Sink& sink);

Status deflate_gzip(ByteView in, std::vector<std::uint8_t>& out);
Status encode_snappy(ByteView in, std::vector<std::uint8_t>& out);
Status encode_lz4(ByteView in, std::vector<std::uint8_t>& out);
Status encode_zstd(ByteView in, std::vector<std::uint8_t>& out);

}  // namespace leat::compression
