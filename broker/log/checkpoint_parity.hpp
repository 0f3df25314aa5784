// What makes lost pages of a checkpoint good again (FORMAT.md section 7): page i goes into stripe
// i mod n by exclusive or, so n pages in a row, one page of flash, may be lost. In front of it, in the
// same commit, a second end record, of what came before. The commit begins on a flash page of its
// own, and the end record lies on a later one, so that one that is lost takes body or parity,
// parity or end record, never what restores it. Of stripes that end with zeros only the front is
// written: the parity of a checkpoint of less than a flash page is as long as that.
#pragma once

#include "broker/log/checkpoint.hpp"

namespace leat::log {

constexpr std::uint32_t parity_bytes = 16 * KiB;  ///< all stripes: the largest page of flash
/// A small log has no room for it: it would be more than a 128th of what is written in between.
constexpr bool carries_parity(std::uint32_t segments, std::uint32_t segment_bytes) {
    return checkpoint_gap_min(segments, segment_bytes) >= 128 * std::uint64_t{parity_bytes};
}

/// The commit with both, at most, while the checkpoint lies in few enough places.
constexpr std::uint32_t parity_commit_max(std::uint32_t page) {
    return static_cast<std::uint32_t>(
        round_up(commit_header_bytes + 2 * frame_header_bytes + 256 + parity_bytes, page));
}
/// Where the end record lies, behind a commit with the parity: not on the flash page in which that
/// begins.
constexpr std::uint32_t end_record_position(std::uint32_t parity_position, std::uint32_t bytes) {
    const std::uint32_t next = (parity_position / parity_bytes + 1) * parity_bytes;
    return parity_position + bytes > next ? parity_position + bytes : next;
}

class Parity {
public:
    explicit Parity(std::uint32_t page) : page_(page), stripes_(parity_bytes) {}
    void clear() {
        pages_ = 0;
        stripes_.assign(parity_bytes, 0);
    }
    void add(ByteView pages);  ///< the next ones, whole
    /// Of page `i` what is missing in it, when the stripes that were written were added as well.
    ByteView of(std::uint64_t i) const {
        return ByteView(stripes_).subspan(i % (parity_bytes / page_) * page_, page_);
    }
    void encode(std::vector<std::uint8_t>& out) const;
    /// Adds what was written. fails: corrupt (it is not of these pages)
    Status join(ByteView body);

private:
    std::uint32_t page_;
    std::uint64_t pages_ = 0;
    std::vector<std::uint8_t> stripes_;
};

}  // namespace leat::log
