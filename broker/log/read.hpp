// Reads: from memory at once where the bytes are there, else through the caches, a step at a time.
//
// A job finds its segment (locate, then links in footers), its frame (points in the footer or the
// open index) and walks frames from there. It remembers the generation of the segment it reads; if
// that changed meanwhile the segment was recycled and the job is planned again from its offset.
//
// While a job works on one block the next ones are read (read_ahead.cpp): as far as its request has
// room, and where it goes on from where another one ended, as much again for the one to come.
//
// A place that the device refuses is in doubt until it is lost (refusals.hpp). A job that met one
// goes on as behind damage, so that all that is in doubt there is asked for, but it ends with
// Error::storage: nobody's offset moves on over records that may come back, and no book is told.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <list>

#include "broker/log/arrivals.hpp"
#include "broker/log/cache.hpp"

namespace leat::log {

class Reader {
public:
    Reader(Core& core, Arrivals& arrivals, RecordTimes record_times);

    /// Who asked: the log's callers (poll_read) or its own parts (take_inside).
    enum class Asked : std::uint8_t { outside, inside };
    Result<ReadTicket> start_read(const ReadRequest& request, MutableBytes into,
                                  Asked asked = Asked::outside);
    /// The result of a read of the log's own parts, once it is there.
    std::optional<ReadDone> take_inside(ReadTicket ticket);
    void cancel(ReadTicket ticket);
    Result<ReadTicket> start_find_time(StreamId stream, std::int64_t target);
    std::optional<ReadDone> poll_read();
    std::optional<TimeDone> poll_find_time();
    void on_read_done(std::uint64_t ticket, bool good);  ///< a storage ticket
    void step_all();
    void pump(Instant now);  ///< now and then
    FooterCache& footers() { return footers_; }
    /// Told of offsets that a reader wanted and that cannot be read; `bytes` as far as known.
    std::function<void(StreamId, Offset from, Offset to, std::uint64_t bytes)> on_damaged;

private:
    enum class Stage : std::uint8_t { plan, node, frame, body, forward, done };
    struct Job {
        ReadTicket ticket = 0;
        bool by_time = false, inside = false;
        ReadRequest request;
        MutableBytes into;
        std::int64_t target_time = 0;

        Stage stage = Stage::plan;
        Offset target = 0;  ///< next offset wanted
        Offset seen_end = 0;  ///< the end of what is wanted, when the way was planned last
        std::optional<Offset>
            beyond;  ///< planning: the first segment whose first offset is larger than this
        Link node;   ///< the segment under the eye
        bool settled = false;           ///< node is the one to read
        std::optional<Link> successor;  ///< of node, if the walk came by it
        std::uint32_t hops = 0, hops_forward = 0;
        std::uint32_t back = no_segment;  ///< walk_back has asked the segments from here on
        std::optional<Link> came;         ///< the node whose footer gave the link to this one
        std::uint64_t layout = 0;         ///< of the ring, when this was planned
        bool recycled = false;            ///< what stream_in looked for is another segment now
        bool node_lost = false;           ///< not even a scan shows what node holds

        std::uint64_t generation = 0;
        StreamInSegment here;
        std::uint32_t position = 0;
        std::uint8_t head[moved_header_bytes + batch_header_bytes + 3] = {};
        std::uint32_t head_have = 0;
        FrameHeader frame;
        BatchFields batch;
        std::uint32_t frame_position = 0;
        std::uint32_t body_have = 0;  ///< of the whole batch
        std::uint32_t part_left = 0;  ///< of this part
        bool in_more = false, from_device = false;
        std::size_t filled = 0;
        std::uint32_t crc = 0, summed = 0;  ///< of the batch, from outside_kafka_crc to `summed`
        bool goes_on = false;   ///< where another read of the stream ended
        std::uint64_t ahead_of = UINT64_MAX;  ///< the block that others were last read behind
        std::size_t planned_for = 0;          ///< so many blocks on, nothing more is to be read yet
        std::uint32_t behind_here = no_segment;  ///< the ring's next segment, and what it holds
        std::uint64_t behind_generation = 0;
        StreamInSegment behind;
        bool damaged = false;
        bool resync = false;  ///< behind damage: only what proves itself counts
        bool doubted = false;  ///< something on the way was refused, and is not lost
        std::uint32_t doubts = 0;      ///< pages; a dead stretch is met in pieces
        std::uint32_t refused_at = 0;  ///< the position that did not come
        std::uint32_t looks = 0;       ///< so often damage was looked at again
        std::uint64_t looked_at = UINT64_MAX;
        std::uint32_t read_to = 0;     ///< of this segment
        std::uint64_t damaged_bytes = 0;
        // Of a stream that compaction leaves gaps in (read_damage.cpp).
        Offset hurt_from = -1;  ///< from here on something may be lost
        std::vector<std::pair<Offset, Offset>> lost;  ///< in segments that it left
        bool scanned = false;       ///< the footer looked into last was made by reading its segment
        bool here_scanned = false;  ///< ... that of `here`
        bool counting = false, all_here = false;
        std::uint32_t counted = 0, count_from = 0;
        std::uint64_t counted_in = 0;  ///< the generation that `all_here` tells of; 0: none
        std::vector<std::uint8_t> batch_memory;  ///< by_time only
        ReadDone result;
        TimeDone time_result;
    };

    enum class Next : std::uint8_t { go_on, wait, finished };
    void step(Job& job);
    Next plan(Job& job);
    Next plan_again(Job& job);
    Next walk_links(Job& job);
    Next not_there(Job& job, const Stream& stream);
    Next moved_away(Job& job, const Stream& stream);
    Next walk_back(Job& job);
    bool behind(const Job& job, const Stream& stream, const Link& link) const;
    bool leads_there(std::uint32_t from, const Link& link) const;
    bool floor_wanted(const Job& job, const Stream& stream) const;
    std::uint32_t older(std::uint32_t segment) const;
    Next enter(Job& job);
    Next at_frame(Job& job);
    Next at_body(Job& job);
    Next next_segment(Job& job);
    Next forward(Job& job);
    enum class Damaged : std::uint8_t { bytes, page, doubted };
    Next damage(Job& job, Damaged what = Damaged::bytes);
    bool look_again(Job& job);
    bool has_gaps(const Job& job) const;
    static void nothing_wanted_hit(Job& job);
    static void hurt(Job& job, Offset from);
    void leave_hurt_segment(Job& job);
    void tell_damaged(Job& job) const;
    Next count_here(Job& job, bool& all_here);
    Next counted(Job& job);
    static void sum_up(Job& job, const std::uint8_t* batch);
    bool sum_holds(Job& job, ByteView batch);
    Next batch_read(Job& job);
    Next finish(Job& job);
    Next fail_with(Job& job, Error error);
    void told(const Job& job) { (job.inside ? inside_done_ : reads_done_).push_back(job.result); }

    enum class Wanted : std::uint8_t { now, soon };
    const StreamInSegment* stream_in(Job& job, std::uint32_t segment, Fetched& state,
                                     StreamInSegment& memory, Wanted wanted = Wanted::now);
    std::uint32_t data_end(std::uint32_t segment) const;
    /// Copies what is at hand of [position, position + count); 0 and `wait`: not yet.
    Next copy(Job& job, std::uint32_t position, MutableBytes into, std::size_t& got);
    Offset end_of_request(const Job& job) const;

    enum class Ahead : std::uint8_t { by_the_way, all };
    void read_ahead(Job& job, std::uint32_t position, Ahead how = Ahead::by_the_way);
    const StreamInSegment* next_in_ring(Job& job);
    void ended(Job& job);

    Core& core_;
    Arrivals& arrivals_;
    RecordTimes record_times_;
    BlockCache blocks_;
    FooterCache footers_;
    std::list<Job> jobs_;
    std::deque<ReadDone> reads_done_, inside_done_;
    std::deque<TimeDone> times_done_;
    ReadTicket last_ticket_ = 0;
    Instant rest_at_{};
    struct Ended {
        StreamId stream = 0;
        Offset at = -1;
    };
    std::array<Ended, 16> ended_;  ///< where the last reads stopped: some go on from there
    std::size_t ended_next_ = 0;
};

}  // namespace leat::log
