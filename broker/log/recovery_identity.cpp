// Whose log it is: its id, and what becomes of one that another device wrote.
#include "broker/log/mend.hpp"
#include "broker/log/recovery_run.hpp"

namespace leat::log {

Status Recovery::draw_log_id(LogId& id) {
    if (!core_.entropy.fill(id)) {
        error_text_ = "no random bytes: a log cannot get its id";
        return fail(Error::storage);
    }
    id[6] = static_cast<std::uint8_t>((id[6] & 0x0F) | 0x40);  // a random UUID (RFC 4122)
    id[8] = static_cast<std::uint8_t>((id[8] & 0x3F) | 0x80);
    return ok();
}

// Written with the superblock of this start: a power cut before it leaves the log the other
// device's.
Status Recovery::take_over() {
    Superblock& super = core_.super;
    if (core_.config.foreign == ForeignLog::tell) return ok();
    if (core_.config.foreign == ForeignLog::fork) {
        LogId id{};
        if (const Status drawn = draw_log_id(id); !drawn) return fail(drawn.error());
        // Survivors, too: they stay when the last of the ring is recycled.
        if (super.parent_log_id != LogId{})
            for (std::uint32_t i = 0; i < core_.segments.size(); ++i)
                if (const auto header = header_of(i);
                    header && header->log_id == super.parent_log_id) {
                    error_text_ =
                        "this copy was forked once already and still holds segments from before: "
                        "adopt it, or let it run until they are recycled";
                    return fail(Error::unsupported);
                }
        super.parent_log_id = super.log_id;
        super.log_id = id;
        ++super.leader_epoch;  // the same offsets now hold other records in two places
    }
    super.device_identity = core_.config.device_identity.substr(0, identity_bytes_max);
    core_.foreign_device = false;
    return ok();
}

/// Nothing of the ring is found, and no checkpoint. A log is only made where segment 0 has no
/// header that holds, and from then on has its own there: another log's means that its pool lies behind
/// these superblocks, which know nothing of what it holds.
Status Recovery::refuse_foreign_pool() {
    const auto bytes = io_.read(core_.address(0, 0), segment_header_bytes);
    const Result<SegmentHeader> first =
        bytes ? decode_mended_segment_header(*bytes) : Result<SegmentHeader>(fail(Error::storage));
    if (!first || first->segment != 0 || core_.super.owns(first->log_id)) return ok();
    error_text_ = "the superblocks are of log " + log_id_text(core_.super.log_id) +
                  ", but segment 0 (byte " + std::to_string(core_.address(0, 0)) +
                  ") is of another one, " + log_id_text(first->log_id) +
                  ", and of the first none is found: the front of one file stands before the rest "
                  "of another, with all its records; nothing was changed; put the whole file of "
                  "one of them back, or, to begin with an empty log, move this one away";
    return fail(Error::corrupt);
}

}  // namespace leat::log
