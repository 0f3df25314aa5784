// Frames: every request and response travels behind its length, a big-endian int32 that counts what
// follows. The length is a stranger's word: nothing is allocated or awaited on its account beyond a
// bound.
#pragma once

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::wire {

constexpr std::size_t frame_prefix_size = 4;

/// Looks at the front of received bytes. Returns the size of the first frame's body once its four
/// length bytes are there, whether or not the body is.
///
/// fails  would_block: fewer than four bytes · malformed: a negative length · too_large: above
///        `body_max`
Result<std::size_t> frame_body_size(ByteView received, std::size_t body_max);

/// The first frame's body in `received`, borrowed from it. It takes frame_prefix_size + size()
/// bytes.
///
/// fails  as above; would_block also while the body is not whole
Result<ByteView> first_frame(ByteView received, std::size_t body_max);

/// Writes the length of a body of `body_size` bytes to `at`, which must have four bytes.
inline void put_frame_prefix(std::uint8_t* at, std::size_t body_size) {
    store_big(at, static_cast<std::int32_t>(body_size));
}

/// Cuts a stream into frames, in memory that the caller brings: the largest body is that memory
/// less the four length bytes. After a failure the stream has lost its boundaries and must be
/// closed.
class FrameReader {
public:
    explicit FrameReader(MutableBytes memory) : memory_(memory) {}

    /// Room for received bytes; empty only while next() has a whole frame, or a failure, to give.
    MutableBytes space();
    /// Tells that `count` bytes were put into space().
    void received(std::size_t count);
    /// Copies from `bytes` what fits and returns how much that was: drain next() and offer the
    /// rest.
    std::size_t feed(ByteView bytes);
    /// The next whole body, borrowed until the next call of anything but const.
    ///
    /// fails  would_block: not whole yet · malformed, too_large: for good
    Result<ByteView> next();
    /// Bytes that wait, whole frames and parts of them.
    std::size_t waiting() const { return end_ - begin_; }
    void reset() { begin_ = end_ = 0; }

private:
    std::size_t body_max() const {
        return memory_.size() > frame_prefix_size ? memory_.size() - frame_prefix_size : 0;
    }

    MutableBytes memory_;
    std::size_t begin_ = 0;  ///< of the next frame
    std::size_t end_ = 0;    ///< of what was received
};

}  // namespace leat::wire
