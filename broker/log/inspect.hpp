// Looking at a log without touching it: every live segment is read and every checksum made again.
// What a start would find is found by the start itself, on a view of the device that keeps writes
// to itself; so dump, verify and the broker never disagree about what the log is.
//
// Works beside a running broker: what was durable when the walk began stays where it is until its
// segment is recycled. Where something does not hold, or is not there, the log is looked at once
// more as a start would: by then it says of every segment that was being written over while it was
// read that it is free, or that nothing in it is wanted, and it names those that records were moved
// to. So what is called damage stood in a segment that was in use after it had been read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/log/commit.hpp"
#include "broker/log/segment.hpp"

namespace leat::log {

struct Damage {
    enum class Kind : std::uint8_t {
        superblock,
        checkpoint,
        segment_header,
        commit,  ///< a header that does not hold; batches behind it may well
        frame,
        batch,  ///< its frame holds, Kafka's own checksum does not
        footer,
        missing,  ///< offsets that ought to be there, and no damaged place to blame
        unreadable
    };
    Kind kind = Kind::commit;
    std::uint32_t segment = no_segment;
    std::uint32_t position = 0, bytes = 0;  ///< in the segment; superblock: on the device
    StreamId stream = 0;
    Offset from = -1, to = -1;  ///< records it costs; -1: none that are still wanted
};
const char* damage_text(Damage::Kind kind);

/// One frame that holds (a batch: with Kafka's checksum, unless it goes on in the next commit).
struct InspectedFrame {
    std::uint32_t segment = 0, position = 0;
    FrameHeader header;
    ByteView body;
    std::optional<BatchFields> batch;
    bool wanted = false;  ///< a batch that is not freed yet
};
class InspectVisitor {
public:
    virtual void on_segment(std::uint32_t segment, const SegmentEntry& entry) = 0;
    virtual void on_commit(std::uint32_t segment, const CommitHeader& commit) = 0;
    virtual void on_frame(const InspectedFrame& frame) = 0;

protected:
    ~InspectVisitor() = default;
};

struct InspectedCounts {
    /// Bytes by what they are for; together the whole pool.
    struct Purposes {
        std::uint64_t batches = 0, batches_freed = 0, facts = 0, log_starts = 0, frame_headers = 0,
                      commit_headers = 0, segment_headers = 0, padding = 0, footers = 0,
                      checkpoint = 0, damaged = 0, unused = 0, free = 0;
        std::uint64_t sum() const {
            return batches + batches_freed + facts + log_starts + frame_headers + commit_headers +
                   segment_headers + padding + footers + checkpoint + damaged + unused + free;
        }
    };
    Purposes purposes;
    std::uint32_t segments_live = 0;
    std::uint64_t commits = 0, frames = 0;
};
/// Counts are of the log as the walk found it when it began; what was recycled meanwhile is free.
struct Inspection : InspectedCounts {
    struct Stream {
        Offset log_start = 0, log_end = 0;
        std::uint64_t batches = 0, records = 0, bytes = 0;  ///< wanted and whole
    };
    Superblock super;
    bool sealed = false;     ///< stopped cleanly; false also while a broker runs
    std::string start_text;  ///< what a start would say; empty: nothing
    std::uint32_t segments_free = 0, segments_recycled_meanwhile = 0;
    std::map<StreamId, Stream> streams;
    std::vector<Damage> damages;  ///< in the order of the log
};

/// Reads the whole log on `device` and writes nothing. `visitor` may be null.
/// fails: not_found (nothing was ever written) · as Log::open; `why` says it for people
Result<Inspection> inspect(port::Storage& device, InspectVisitor* visitor, std::string& why);

}  // namespace leat::log
