// Compaction by key: finds out what nobody needs any more, so that the cleaner leaves it out.
//
// A pass: the keys of what is new in all compacted streams are read into a map of the newest offset
// of each -> each segment's records are held against it, which tells how much of the segment is
// dead -> the cleaner makes runs where that frees segments, and hands every batch it copies
// through filter(). A record goes when the map has a newer one of its key, and a tombstone when
// every older record of its key has been gone for the stream's tombstone_retention; the last record
// of a stream stays, so that a reader always reaches the end. A pass comes when enough of a stream
// is new, or when that lies there longer than its compaction_lag_max: then the cleaner also copies
// what frees no segment. What is newer than `release` (not
// delivered upstream) or younger than compaction_lag stays as it is.
//
// A map entry is a fact about durable records, so nothing that is interrupted does harm: sources
// stay in force until the checkpoint that lists the copies is durable, and a pass that a crash ends
// begins anew. When the map is full the pass takes what it has; the next one goes on from there.
//
// Whole batches vanish and leave gaps; others keep their offsets and shrink. A producer's last
// sequences live in footers and checkpoints, not in batches, so no empty batch has to stay for
// them. Control batches are copied as they are; so are transactional ones, and batches that expand
// to more than the filter takes: their keys are in no map, and tombstones above them stay.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/log/key_map.hpp"
#include "broker/log/read.hpp"

namespace leat::log {

constexpr milliseconds compaction_pace{20};  ///< between two reads of 64 KiB: 3.2 MiB/s at most
constexpr std::size_t compaction_read_bytes = 64 * 1024;
constexpr std::size_t gains_max = 16 * 1024;  ///< (segment, stream) pairs remembered in a pass

class Compactor {
public:
    Compactor(Core& core, Reader& reader) : core_(core), reader_(reader) {}

    void pump(Instant now);
    Instant deadline() const;
    void stop();

    /// A pass has found something: gain() and filter() count.
    bool ready() const { return phase_ == Phase::ready; }
    /// Bytes of the segment that need not be copied.
    std::uint32_t gain(std::uint32_t segment) const;
    /// Some of them are to go even if no segment becomes free.
    bool overdue(std::uint32_t segment) const;
    /// What is overdue lies where only a newer checkpoint lets it be judged. Once for each.
    bool take_wants_checkpoint() { return std::exchange(wants_checkpoint_, false); }
    struct Superseded {
        std::uint64_t records = 0;  ///< at and above the log start
        std::int64_t bytes = 0;     ///< less than 0: what stays is compressed worse than it was
        bool changed = false;
    };
    /// Takes what is superseded out of a batch of `stream`, whole and checked; empty: all of it.
    Superseded filter(StreamId stream, std::uint64_t age_ms, std::uint64_t now_age_ms,
                      std::vector<std::uint8_t>& batch);
    /// Batches of `stream` from here on were copied without filter().
    void copied_unfiltered(StreamId stream, Offset from);
    /// The cleaner finds nothing more that is worth it: the pass is over.
    void finish(Instant now);
    /// The same bytes now lie in another segment.
    void moved(std::uint32_t from, std::uint32_t to);

private:
    enum class Phase : std::uint8_t { idle, keys, count, ready };
    struct Part {  ///< one stream in this pass
        StreamId id = 0;
        Offset from = 0, end = 0;     ///< offsets whose keys are in the map
        Offset unjudged = INT64_MAX;  ///< from here on some superseded record may stay
        Offset counted = 0;           ///< segments were judged up to here
        Offset tombstones_below = 0;
        Offset bound = 0;            ///< what may be compacted ended here when the pass began
        std::int64_t bytes = 0;      ///< of batches that were judged, less what goes
        std::uint64_t age_ms = 0;    ///< of the newest that was
        bool lags = false;           ///< what came next was too young
        bool overdue = false, tombstones = false;
    };
    struct Gain {
        std::uint64_t generation = 0;
        std::uint32_t bytes = 0;
        Offset first = 0;  ///< the stream's first offset in the segment
        bool overdue = false;
    };
    enum class Got : std::uint8_t { wait, batches, nothing, failed };
    enum class Step : std::uint8_t { go_on, wait };

    bool overdue(Instant now, const Stream& stream) const;
    bool worth_it(Instant now, const Stream& stream) const;
    void want_checkpoint();
    bool begin(Instant now);
    Step read_keys(Instant now);
    Step count(Instant now);
    bool next_segment();
    Step count_stream(Instant now);
    Got read(Instant now, StreamId id, Offset until);
    bool add_keys(Part& part, const BatchFields& fields, ByteView batch);
    Superseded judge(Part& part, const BatchFields& fields, ByteView batch,
                     std::vector<std::uint8_t>& kept);
    void give_up(Instant now);
    Part* part_of(StreamId id);
    void mark(Stream& stream, Offset end, std::uint64_t age_ms) const;
    std::uint64_t age(Instant now) const { return core_.time.age_ms(now); }
    bool urgent() const { return core_.segments.free_count() <= core_.segments_kept_free() + 2; }

    Core& core_;
    Reader& reader_;
    Phase phase_ = Phase::idle;
    bool stopped_ = false;
    Instant look_at_{}, next_at_{};
    std::unique_ptr<KeyMap> map_;
    std::vector<Part> parts_;  ///< by stream number
    std::size_t part_ = 0;     ///< the one whose keys are read, or which is counted
    Offset at_ = 0;            ///< in that stream
    std::uint64_t redo_place_ = 0, redo_age_ms_ = 0;  ///< what lies behind it is no older
    std::uint64_t wanted_behind_ = 0;                 ///< a checkpoint newer than this was asked for
    bool wants_checkpoint_ = false;
    StreamId begin_at_ = 0;  ///< a full map: the next pass begins with this stream

    // The segment that is counted.
    std::uint32_t segment_ = no_segment;
    std::uint64_t place_ = 0, generation_ = 0;
    std::map<StreamId, StreamInSegment> here_;
    std::int64_t gained_ = 0;  ///< of the stream that is counted
    std::map<std::pair<std::uint32_t, StreamId>, Gain> gains_;

    ReadTicket ticket_ = 0;
    std::vector<std::uint8_t> memory_;
    std::size_t got_ = 0;
};

}  // namespace leat::log
