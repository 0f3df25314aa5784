// The only structure outside the segments: who this log is, and where its newest checkpoint ends
// (FORMAT.md section 2). Two slots are written in turn, so a torn write leaves the older one.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::log {

constexpr std::uint32_t format_version = 1;
constexpr std::uint32_t no_segment = 0xFFFFFFFF;
constexpr std::uint32_t superblock_bytes = 512;
constexpr std::size_t identity_bytes_max = 64;
using LogId = std::array<std::uint8_t, 16>;

/// Where the commit with a checkpoint's end record lies.
struct CheckpointPlace {
    std::uint32_t segment = no_segment;
    std::uint32_t position = 0;
    std::uint32_t bytes = 0;
    std::uint32_t salt = 0;
    std::uint64_t generation = 0;

    bool is() const { return segment != no_segment; }
    bool operator==(const CheckpointPlace&) const = default;
};

struct Superblock {
    std::uint64_t sequence = 0;
    LogId log_id{}, parent_log_id{};
    std::uint32_t page_bytes = 0, segment_bytes = 0, segments = 0, slot_bytes = 0;
    std::uint64_t pool_start = 0;
    std::uint64_t start_count = 0;
    std::int32_t leader_epoch = 0;
    std::uint64_t log_time_ms = 0, off_time_ms = 0;
    std::int64_t trusted_wall_ms = -1;
    std::uint64_t trusted_at_log_time_ms = 0;
    CheckpointPlace checkpoint, previous;  ///< previous: what is left of the one before it
    std::string device_identity;           ///< at most 64 bytes
    /// The tail that this run found: commits of earlier runs from `void_from` on are none, whatever
    /// a torn write of this run may complete.
    std::uint32_t void_from = 0;
    std::uint64_t void_generation = 0;  ///< 0: nothing is void
    /// The start that wrote this found a superblock or checkpoint that did not hold, and no
    /// checkpoint was written since: survivors that the checkpoint does not list may count.
    bool unlisted_copies = false;

    /// Whether a segment that bears `id` is this log's: written by it, or by what it was forked
    /// from.
    bool owns(const LogId& id) const {
        return id == log_id || (id == parent_log_id && parent_log_id != LogId{});
    }
};

void encode_superblock(const Superblock& super, MutableBytes into);  ///< into: 512 bytes
/// fails: corrupt · unsupported (another format version)
Result<Superblock> decode_superblock(ByteView bytes);

/// How long the device has to be for the log of which these are the superblocks' slots (512 bytes or
/// more), by the newer one; 0: both are none.
std::uint64_t bytes_made_for(ByteView first, ByteView second);

std::string log_id_text(const LogId& id);  ///< as a UUID; zeros: empty

}  // namespace leat::log
