// Commits (FORMAT.md section 4), and the group that becomes one.
//
// A Group collects frames in memory that starts with room for a footer, a segment header page and a
// commit header, so a commit is one aligned write even when it opens a segment, and when the footer
// of the segment in front of that leaves with it. Checksums are made when it
// is known where the group goes, because they are seeded with the segment's salt: a group whose
// write failed goes elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "broker/log/frame.hpp"
#include "broker/log/log.hpp"

namespace leat::log {

constexpr std::uint32_t commit_header_bytes = 80;
constexpr std::uint32_t commit_magic = 0x544D43C7;
constexpr std::uint8_t commit_first_byte = 0xC7;
constexpr std::uint32_t cut_bytes = 16 * 1024;  ///< groups end on these boundaries while more waits
/// A larger group goes out whole: half a flash page of waste is less than 3 % of it, and what is cut
/// off a large batch would cost its producer a second flush.
constexpr std::uint32_t cut_below_bytes = 256 * 1024;

enum class CommitKind : std::uint8_t { data = 1, footer = 2, checkpoint = 3, seal = 4 };
constexpr std::uint8_t commit_wall_trusted = 1, commit_continues = 2;

struct CommitHeader {
    std::uint32_t crc = 0;
    std::uint64_t generation = 0, sequence = 0;
    std::uint32_t bytes = 0, used = 0, frames = 0, run = 0;
    std::uint64_t log_time_ms = 0, off_time_ms = 0;
    std::int64_t wall_ms = 0;
    CommitKind kind = CommitKind::data;
    std::uint8_t flags = 0;
    std::uint32_t position = 0;
    std::uint32_t tie = 0;  ///< to its frames, see tied()
    std::uint64_t age_ms() const { return log_time_ms + off_time_ms; }
};
void encode_commit_header(const CommitHeader& header, std::uint32_t salt,
                          std::uint8_t* at);  ///< makes the CRC
/// fails: corrupt (magic, CRC under this salt). Where it belongs is for the caller to judge.
Result<CommitHeader> decode_commit_header(ByteView bytes, std::uint32_t salt);

/// Memory aligned for direct I/O, grown on demand.
class AlignedBytes {
public:
    explicit AlignedBytes(std::uint32_t align = 4096) : align_(align < 4096 ? 4096 : align) {}
    void reserve(std::size_t bytes, std::size_t keep);  ///< keeps the first `keep` bytes
    void free() {
        memory_.reset();
        capacity_ = 0;
    }
    std::uint8_t* data() { return memory_.get(); }
    const std::uint8_t* data() const { return memory_.get(); }
    std::size_t capacity() const { return capacity_; }
    void swap(AlignedBytes& other) {
        std::swap(memory_, other.memory_);
        std::swap(capacity_, other.capacity_);
    }

private:
    struct Free {
        void operator()(std::uint8_t* p) const;
    };
    std::unique_ptr<std::uint8_t[], Free> memory_;
    std::size_t capacity_ = 0;
    std::uint32_t align_;
};

/// The frames that will become one commit, with what is to be done once they are durable.
class Group {
public:
    /// `footer_max`: a multiple of the page; so much may stand in front of a segment header.
    Group(std::uint32_t page_bytes, std::uint32_t align, std::uint32_t footer_max = 0)
        : page_(page_bytes), front_(footer_max + page_bytes), memory_(align) {}

    struct Entry {
        std::uint32_t at = 0;  ///< of the frame, counted from the commit header
        CommitId id = 0;
        Instant came{};
    };

    bool empty() const { return entries_.empty(); }
    std::uint32_t used() const { return used_; }  ///< commit header and frames
    std::uint32_t padded() const { return static_cast<std::uint32_t>(round_up(used_, page_)); }
    const std::vector<Entry>& entries() const { return entries_; }
    Instant first_came() const { return came_; }  ///< of the one that waits longest
    void hasten(Instant now) {
        if (!entries_.empty()) came_ = std::min(came_, now);
    }
    CommitId last_id() const { return entries_.back().id; }
    std::uint32_t payload_bytes() const { return payload_; }  ///< batch bytes

    /// Adds a frame of `body` bytes; returns where the body goes. Of a `moved` one the 16 bytes in
    /// front of the body are the caller's too.
    MutableBytes add(FrameType type, std::uint32_t stream, std::uint32_t body, CommitId id,
                     Instant now);
    /// The frame at `entry`, header first.
    ByteView frame(const Entry& entry) const {
        return ByteView(commit() + entry.at, used_ - entry.at);
    }

    /// Moves whole frames from entry `first` on to the front of `rest`, which is empty.
    void move_rest(std::size_t first, Group& rest);
    /// Cuts at `limit` bytes, inside a batch if need be: the part before stays, the rest becomes
    /// `more`. false: nothing was cut (no frame can be split there); then whole frames may still be
    /// moved.
    bool cut_at(std::uint32_t limit, Group& rest);
    /// The first frame is a `more` whose earlier part has this body: makes it one whole append
    /// again.
    void restore_first(ByteView part);
    /// How many entries fit whole into `limit` bytes.
    std::size_t entries_within(std::uint32_t limit) const;

    /// Makes checksums, pads, and encodes the commit header. Returns the bytes from the commit
    /// header on.
    ByteView finish(CommitHeader header, std::uint32_t salt);
    /// The same with a segment header page in front, and with `footer` in front of that.
    ByteView finish_opening(CommitHeader header, std::uint32_t salt, ByteView segment_header,
                            ByteView footer = {});
    /// Whether the last frame goes on in the next commit.
    bool continues() const;

    /// Empties it; gives memory back that is larger than `keep_bytes`.
    void clear(std::size_t keep_bytes);

private:
    std::uint8_t* commit() { return memory_.data() + front_; }
    const std::uint8_t* commit() const { return memory_.data() + front_; }
    void need(std::size_t bytes);  ///< from the commit header on

    std::uint32_t page_, front_;
    AlignedBytes memory_;
    std::uint32_t used_ = commit_header_bytes;
    std::uint32_t payload_ = 0;
    void find_came();
    std::vector<Entry> entries_;
    Instant came_ = never;
};

}  // namespace leat::log
