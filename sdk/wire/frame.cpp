#include "sdk/wire/frame.hpp"

#include "leat/check.hpp"

namespace leat::wire {

Result<std::size_t> frame_body_size(ByteView received, std::size_t body_max) {
    if (received.size() < frame_prefix_size) return fail(Error::would_block);
    auto size = load_big<std::int32_t>(received.data());
    if (size < 0) return fail(Error::malformed);
    if (static_cast<std::size_t>(size) > body_max) return fail(Error::too_large);
    return static_cast<std::size_t>(size);
}

Result<ByteView> first_frame(ByteView received, std::size_t body_max) {
    Result<std::size_t> size = frame_body_size(received, body_max);
    if (!size) return fail(size.error());
    if (*size > received.size() - frame_prefix_size) return fail(Error::would_block);
    return received.subspan(frame_prefix_size, *size);
}

MutableBytes FrameReader::space() {
    // Moving is put off until the tail is used up: a reader that keeps pace with its peer never
    // moves.
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == memory_.size() && begin_ > 0) {
        std::memmove(memory_.data(), memory_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return memory_.subspan(end_);
}

void FrameReader::received(std::size_t count) {
    LEAT_CHECK(count <= memory_.size() - end_);
    end_ += count;
}

std::size_t FrameReader::feed(ByteView bytes) {
    MutableBytes room = space();
    ByteView fits = bytes.first(std::min(bytes.size(), room.size()));
    copy_bytes(fits, room);
    received(fits.size());
    return fits.size();
}

Result<ByteView> FrameReader::next() {
    Result<ByteView> frame = first_frame(memory_.subspan(begin_, end_ - begin_), body_max());
    if (frame) begin_ += frame_prefix_size + frame->size();
    return frame;
}

}  // namespace leat::wire
