// The commits of a segment against their checksums, in pieces.
#include <algorithm>

#include "broker/log/scrub.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

SegmentCheck::SegmentCheck(const SegmentEntry& entry, std::uint32_t page_bytes, std::uint32_t from)
    : entry_(entry), page_(page_bytes), at_(from != 0 ? from : page_bytes), read_(at_) {}

bool SegmentCheck::feed(ByteView bytes) {
    while (!bytes.empty()) {
        std::size_t some = bytes.size();
        if (state_ == State::zeros) {
            some = std::min<std::size_t>(some, zeros_end_ - read_);
            const ByteView piece = bytes.first(some);
            if (std::any_of(piece.begin(), piece.end(), [](auto byte) { return byte != 0; }))
                return false;
        } else if (state_ == State::body) {
            some = std::min<std::size_t>(some, frame_.body_bytes - body_have_);
            if (!take_body(bytes.first(some))) return false;
        } else {
            some = std::min<std::size_t>(some, want_ - have_);
            copy_bytes(bytes.first(some), MutableBytes(head_).subspan(have_));
            have_ += static_cast<std::uint32_t>(some);
        }
        read_ += static_cast<std::uint32_t>(some);
        bytes = bytes.subspan(some);
        if (state_ == State::body && body_have_ == frame_.body_bytes && !end_body()) return false;
        if ((state_ == State::commit || state_ == State::frame) && have_ == want_ &&
            !(state_ == State::commit ? take_commit() : take_frame()))
            return false;
        if (state_ == State::zeros && read_ == zeros_end_) {
            if (read_ >= frames_end_ && tie_ != commit_tie_) {  // frames of another commit
                at_ = commit_at_;
                return false;
            }
            at_ = read_;
            have_ = 0;
            if (read_ == commit_end_) {
                state_ = State::commit;
                want_ = commit_header_bytes;
            } else if (read_ == frames_end_) {
                zeros_end_ = commit_end_;
            } else {
                state_ = State::frame;
                want_ = frame_header_bytes;
            }
        }
    }
    return true;
}

bool SegmentCheck::take_commit() {
    const Result<CommitHeader> commit =
        decode_commit_header({head_, commit_header_bytes}, entry_.salt);
    if (!commit || commit->generation != entry_.generation || commit->position != at_ ||
        commit->bytes < page_ || commit->bytes % page_ != 0 ||
        commit->bytes > round_up(entry_.data_end, page_) - at_ || commit->used > commit->bytes ||
        commit->used < commit_header_bytes || (sequence_ != 0 && commit->sequence != sequence_ + 1))
        return false;
    sequence_ = commit->sequence;
    commit_at_ = at_;
    commit_tie_ = commit->tie;
    tie_ = 0;
    commit_end_ = at_ + commit->bytes;
    frames_end_ = at_ + commit->used;
    zeros_end_ = read_;  // no zeros: on to what comes next
    state_ = State::zeros;
    return true;
}

bool SegmentCheck::take_frame() {
    if (want_ == frame_header_bytes) {
        frame_ = decode_frame_header(head_);
        if (frame_.type == FrameType::padding || frame_.header_bytes < frame_header_bytes ||
            frame_.header_bytes > sizeof head_ || frame_.padded_bytes() > frames_end_ - at_)
            return false;
        want_ = frame_.header_bytes;
        if (have_ < want_) return true;
    }
    constexpr std::uint8_t zero[4] = {};
    frame_crc_ = crc32c(entry_.salt, ByteView{head_, 4});
    frame_crc_ = crc32c(frame_crc_, zero);
    frame_crc_ = crc32c(frame_crc_, ByteView{head_ + 8, frame_.header_bytes - 8u});
    body_have_ = 0;
    if (frame_.holds_batch()) {
        batch_have_ = batch_crc_ = 0;
        batch_total_ = frame_.total_bytes;
    } else if (frame_.type != FrameType::more) {
        batch_total_ = 0;
    } else if (batch_total_ != 0 && frame_.before_bytes != batch_have_) {
        return false;
    }
    state_ = State::body;
    return frame_.body_bytes > 0 || end_body();
}

bool SegmentCheck::take_body(ByteView piece) {
    if (const std::uint32_t covered = frame_.covered_bytes(); body_have_ < covered)
        frame_crc_ = crc32c(frame_crc_,
                            piece.first(std::min<std::size_t>(piece.size(), covered - body_have_)));
    body_have_ += static_cast<std::uint32_t>(piece.size());
    if (!frame_.holds_batch() && frame_.type != FrameType::more) return true;
    if (batch_have_ < outside_kafka_crc) {
        const std::size_t some =
            std::min<std::size_t>(piece.size(), outside_kafka_crc - batch_have_);
        copy_bytes(piece.first(some), MutableBytes(batch_head_).subspan(batch_have_));
        batch_have_ += static_cast<std::uint32_t>(some);
        piece = piece.subspan(some);
    }
    batch_crc_ = crc32c(batch_crc_, piece);
    batch_have_ += static_cast<std::uint32_t>(piece.size());
    return true;
}

bool SegmentCheck::end_body() {
    if (frame_crc_ != frame_.crc) return false;
    tie_ = tied(tie_, frame_crc_);
    if (batch_total_ != 0 && batch_have_ == batch_total_) {
        if (batch_crc_ != load_big<std::uint32_t>(batch_head_ + 17)) return false;
        batch_total_ = 0;
    }
    zeros_end_ = static_cast<std::uint32_t>(at_ + frame_.padded_bytes());
    state_ = State::zeros;
    return true;
}

}  // namespace leat::log
