// A checkpoint of which pages are lost, as many as a page of flash holds: made good by its parity.
#include <algorithm>

#include "broker/log/checkpoint_parity.hpp"
#include "broker/log/recovery_run.hpp"

namespace leat::log {

namespace {

/// The bytes of a checkpoint in order, pages that the device does not give as zeros.
struct Pages {
    std::vector<std::uint8_t> bytes;
    struct Piece {
        CheckpointExtent extent;
        std::size_t begin;
    };
    std::vector<Piece> pieces;
};

/// A frame at `at` in the commit, by its own checksum alone.
ByteView frame_body(ByteView commit, std::size_t at, std::uint32_t salt, FrameType type) {
    if (commit.size() < at + frame_header_bytes) return {};
    const FrameHeader frame = decode_frame_header(commit.data() + at);
    if (frame.type != type || !frame.plain() || frame.padded_bytes() > commit.size() - at ||
        frame_crc(salt, commit.subspan(at), frame) != frame.crc)
        return {};
    return commit.subspan(at + frame.header_bytes, frame.body_bytes);
}

}  // namespace

/// The commit with the parity is the one in front of the end record, and begins with another, which
/// does not count it. How far in front, its length says.
Result<Recovery::FoundEnd> Recovery::second_end_record(const CheckpointPlace& place) {
    const std::uint32_t far = std::max(parity_commit_max(core_.page), parity_bytes);
    for (std::uint32_t back = core_.page; back <= far && back + core_.page <= place.position;
         back += core_.page) {
        const std::uint32_t at = place.position - back;
        // Its own end may be lost with the record behind it.
        const auto bytes = io_.read(core_.address(place.segment, at), core_.page);
        const auto commit = bytes ? decode_commit_header(*bytes, place.salt)
                                  : Result<CommitHeader>(fail(Error::storage));
        if (!commit || commit->kind != CommitKind::checkpoint || commit->position != at ||
            commit->generation != place.generation ||
            commit->bytes > parity_commit_max(core_.page) ||
            end_record_position(at, commit->bytes) != place.position)
            continue;
        Result<CheckpointEnd> end = decode_end(
            frame_body(*bytes, commit_header_bytes, place.salt, FrameType::checkpoint_end));
        if (!end) continue;
        cut("the checkpoint's end record is lost, the second one was taken");
        out_.checkpoint_wanted = true;
        return FoundEnd{*std::move(end), commit->sequence + 1};
    }
    return fail(Error::corrupt);
}

/// The same as apply_extents, where something of them does not hold.
Result<std::uint64_t> Recovery::apply_restored(const CheckpointEnd& end) {
    const std::uint32_t size = end.parity_bytes;
    std::uint64_t sum = 0;
    for (const CheckpointExtent& extent : end.extents) sum += extent.to - extent.from;
    if (size == 0 || size % core_.page != 0 || size > parity_commit_max(core_.page) ||
        end.extents.empty() ||
        end.extents.back().to - end.extents.back().from < size ||
        sum > std::uint64_t{core_.super.segments} * core_.segment_bytes)
        return fail(Error::corrupt);
    const CheckpointExtent& newest = end.extents.back();
    std::vector<std::uint8_t> last;
    if (const auto bytes = io_.read(core_.address(newest.segment, newest.to - size), size); bytes)
        last.assign(bytes->begin(), bytes->end());
    Pages pages;
    for (CheckpointExtent extent : end.extents) {
        if (pages.pieces.size() + 1 == end.extents.size()) extent.to -= size;
        pages.pieces.push_back({extent, pages.bytes.size()});
        for (std::uint32_t at = extent.from; at < extent.to; at += core_.page) {
            const auto bytes = io_.read(core_.address(extent.segment, at), core_.page);
            pages.bytes.resize(pages.bytes.size() + core_.page);
            if (bytes) copy_bytes(*bytes, MutableBytes(pages.bytes).last(core_.page));
        }
    }
    // Where the parity itself is lost, the rest has to be whole.
    std::uint64_t frames = 2;
    Parity parity(core_.page);
    parity.clear();
    parity.add(pages.bytes);
    const ByteView second = frame_body(last, commit_header_bytes, newest.salt, FrameType::checkpoint_end);
    const bool joined =
        !second.empty() &&
        parity.join(frame_body(
            last, commit_header_bytes + round_up(frame_header_bytes + second.size(), 8), newest.salt,
            FrameType::checkpoint_parity));

    const std::size_t row = parity_bytes / core_.page, all = pages.bytes.size() / core_.page;
    const auto turn = [&](std::size_t first) {  // pages in a row, and back
        for (std::size_t page = first; page < std::min(first + row, all); ++page) {
            const ByteView missing = parity.of(page);
            for (std::size_t i = 0; i < missing.size(); ++i)
                pages.bytes[page * core_.page + i] ^= missing[i];
        }
    };
    for (const Pages::Piece& piece : pages.pieces) {
        for (std::uint32_t at = piece.extent.from; at < piece.extent.to;) {
            const std::size_t begin = piece.begin + (at - piece.extent.from);
            ByteView here = ByteView(pages.bytes).subspan(begin, piece.extent.to - at);
            const CheckpointPlace place{.position = at,
                                        .salt = piece.extent.salt,
                                        .generation = piece.extent.generation};
            Result<CommitHeader> header = checkpoint_commit(here, place);
            const std::size_t page = begin / core_.page;
            const std::size_t from = page - std::min(page, row - 1);
            const std::size_t to = std::min(page + 2 * parity_bytes / core_.page + 2 * row, all);
            for (std::size_t first = from; !header && joined && first < to; ++first) {
                turn(first);
                header = checkpoint_commit(here, place);
                if (!header) turn(first);
            }
            if (!header) return fail(Error::corrupt);
            if (const Status applied = apply_checkpoint_commit(here, *header); !applied)
                return fail(applied.error());
            frames += header->frames;
            at += header->bytes;
        }
    }
    cut("pages of the checkpoint were lost, its parity has made them good");
    out_.checkpoint_wanted = true;
    return frames;
}

}  // namespace leat::log
