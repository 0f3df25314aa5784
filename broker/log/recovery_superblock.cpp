// Recovery's first step: the superblock, or a new log on an empty device.
#include <algorithm>
#include <bit>

#include "broker/log/mend.hpp"
#include "broker/log/recovery_run.hpp"

namespace leat::log {

namespace {

constexpr std::uint32_t segments_min =
    15;  ///< 1 MiB in all, superblock included, at the smallest segment size

bool all_zero(ByteView bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::uint32_t choose_segment_bytes(std::uint64_t budget) {
    // A batch is at most half a segment, and clients send batches of 1 MB as they come (librdkafka
    // fails them when they are refused, it does not split): from 128 MiB on, that goes before
    // having 256 segments.
    constexpr std::uint64_t common_batch = 2 * MiB, segments_enough = 48;
    std::uint64_t bytes = 4 * MiB;
    while (bytes > 64 * KiB && budget / bytes < 256 &&
           (bytes > common_batch || budget / bytes < segments_enough))
        bytes /= 2;
    while (budget / bytes > 16'384) bytes *= 2;
    return static_cast<std::uint32_t>(bytes);
}

}  // namespace

Status Recovery::create() {
    const LogConfig& config = core_.config;
    Superblock super;
    super.slot_bytes = std::max<std::uint32_t>(16 * KiB, core_.geometry.erase_size);
    super.pool_start = 2ull * super.slot_bytes;
    super.page_bytes = config.page_bytes;
    const std::uint64_t usable =
        core_.geometry.size > super.pool_start ? core_.geometry.size - super.pool_start : 0;
    const std::uint64_t budget =
        config.budget_bytes == 0
            ? usable
            : std::min(usable, config.budget_bytes - std::min(config.budget_bytes, super.pool_start));
    super.segment_bytes =
        config.segment_bytes != 0 ? config.segment_bytes : choose_segment_bytes(budget);
    if (!std::has_single_bit(super.segment_bytes) || super.segment_bytes < 64 * KiB ||
        (super.page_bytes != 4096 && super.page_bytes != 16384)) {
        error_text_ =
            "segment size must be a power of two of at least 64 KiB, and the page 4096 or 16384 "
            "bytes";
        return fail(Error::invalid);
    }
    super.segments = static_cast<std::uint32_t>(budget / super.segment_bytes);
    if (super.segments < segments_min) {
        error_text_ = "the budget of " + std::to_string(budget) +
                      " bytes is below 16 segments of " + std::to_string(super.segment_bytes) +
                      " bytes: give the log at least " +
                      std::to_string(16ull * super.segment_bytes + super.pool_start) + " bytes";
        return fail(Error::too_large);
    }
    if (const Status drawn = draw_log_id(super.log_id); !drawn) return fail(drawn.error());
    super.device_identity = config.device_identity.substr(0, identity_bytes_max);
    core_.super = super;
    out_.fresh = true;
    return ok();
}

Status Recovery::read_superblock() {
    std::optional<Superblock> slots[2];
    bool zero[2] = {true, true};
    bool foreign_version = false, unreadable = false;
    std::uint32_t slot_bytes = std::max<std::uint32_t>(16 * KiB, core_.geometry.erase_size);
    for (int slot = 0; slot < 2; ++slot) {
        const auto bytes = io_.read(std::uint64_t(slot) * slot_bytes, superblock_bytes);
        zero[slot] = bytes && all_zero(*bytes);
        unreadable = unreadable || !bytes;
        if (!bytes) continue;  // damage like any other: the other slot holds
        std::uint8_t block[superblock_bytes];
        copy_bytes(*bytes, block);
        Result<Superblock> super = decode_superblock(block);
        if (!super && super.error() == Error::corrupt && mend_block(block)) {
            super = decode_superblock(block);
            if (super) cut("superblock " + std::to_string(slot) + " lost a bit, which is known");
        }
        if (super)
            slots[slot] = *super;
        else
            foreign_version = foreign_version || super.error() == Error::unsupported;
    }
    if (foreign_version) {
        error_text_ = "the log has another format version than this program (" +
                      std::to_string(format_version) +
                      "): use the program that wrote it, or an empty data folder";
        return fail(Error::unsupported);
    }
    if (!slots[0] && !slots[1]) {
        if (unreadable) {
            error_text_ = "the log's superblock cannot be read: check the storage device";
            return fail(Error::storage);
        }
        // A creation that was cut has opened no segment yet, and the first one is opened first.
        const auto first =
            zero[0] || zero[1] ? io_.read(2 * std::uint64_t{slot_bytes}, segment_header_bytes)
                               : Result<ByteView>(fail(Error::corrupt));
        if (first && !decode_mended_segment_header(*first)) return create();
        error_text_ =
            "neither superblock holds, yet the device is not empty: this is no leat log, or it is "
            "damaged; "
            "nothing was changed";
        return fail(Error::corrupt);
    }
    const int newest = !slots[0]                                 ? 1
                       : !slots[1]                               ? 0
                       : slots[0]->sequence > slots[1]->sequence ? 0
                                                                 : 1;
    core_.super = *slots[newest];
    if (slots[1 - newest]) other_super_ = slots[1 - newest];
    misled_ = core_.super.unlisted_copies ||
              (!slots[1 - newest] && !zero[1 - newest]);  // torn by a power cut, or damaged later
    const std::uint64_t needed =
        core_.super.pool_start + std::uint64_t{core_.super.segments} * core_.super.segment_bytes;
    if (needed > core_.geometry.size || core_.super.segments == 0) {
        error_text_ = "the log was made for " + std::to_string(needed) + " bytes, the device has " +
                      std::to_string(core_.geometry.size) +
                      ": its end was cut off, nothing was changed; put the whole file back, or, to "
                      "go on with what is left and count the rest as damaged, make it as long again "
                      "(truncate -s " +
                      std::to_string(needed) + ")";
        return fail(Error::corrupt);
    }
    return ok();
}

/// The pool is what the superblock and the checkpoint say; now the budget may ask for more or less.
/// Not for more in a start that was misled: it may be the one that does not know what is there.
void Recovery::fit_budget() {
    const std::uint64_t budget = core_.config.budget_bytes == 0 ? core_.geometry.size
                                                                : core_.config.budget_bytes;
    const std::uint64_t usable = budget - std::min(budget, core_.super.pool_start);
    auto allowed = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        std::max<std::uint64_t>(usable / core_.segment_bytes, segments_min), segments_that_fit()));
    std::uint32_t size = core_.segments.size();
    if (core_.pool_as_it_is) allowed = size;
    // Segments beyond the end are free, and what an earlier, larger pool left there is no header: an
    // old one would be taken for one that the checkpoint has not met.
    std::vector<std::uint8_t> zeros;
    for (; size < allowed && !misled_; ++size) {
        const auto bytes = io_.read(core_.address(size, 0), segment_header_bytes);
        if (bytes && !decode_segment_header(*bytes)) continue;
        zeros.resize(core_.page);
        if (!core_.faults.old_headers_kept && !io_.write(core_.address(size, 0), zeros)) break;
    }
    grown_ = size > core_.segments.size();
    core_.segments.grow(size);
    core_.segments.set_target(allowed);
    core_.super.segments = core_.pool = size;
}

}  // namespace leat::log
