// One stream on one route: reads it from the cursor to the high watermark, and knows which of the
// batches that were read are acknowledged, so the cursor moves over what went as one, in order. It
// stands inside a local batch where that went in parts.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "broker/log/log.hpp"
#include "broker/uplink/lane.hpp"

namespace leat::uplink {

class Tap {
public:
    Tap(std::string topic, std::int32_t partition, log::StreamId stream, log::Offset cursor)
        : topic_(std::move(topic)),
          partition_(partition),
          stream_(stream),
          cursor_(cursor),
          read_from_(cursor) {}

    const std::string& topic() const { return topic_; }
    std::int32_t partition() const { return partition_; }
    log::StreamId stream() const { return stream_; }
    log::Offset cursor() const { return cursor_; }
    log::Offset read_from() const { return read_from_; }
    std::size_t outstanding_bytes() const { return outstanding_bytes_; }

    /// A local batch was read: it is done when all its `parts` are.
    /// returns  its name for part_done
    std::uint64_t add_pending(log::Offset next, std::uint32_t parts, std::size_t bytes);
    /// One of its parts became `more` more.
    void add_parts(std::uint64_t pending, std::uint32_t more);
    /// returns  whether the cursor moved
    bool part_done(std::uint64_t pending);
    /// It waits for others, and holds no memory meanwhile.
    void part_waits(std::uint64_t pending);
    /// Everything from the cursor on is read again.
    void rewind();
    /// What is before `offset` cannot be had any more.
    void jump(log::Offset offset);

    /// Records below `high_watermark` were readable from `now` on.
    void mark(Instant now, log::Offset high_watermark);
    milliseconds age(Instant now) const;

    // The read under way, and its memory; for the route that runs it.
    std::shared_ptr<Chunk> reading_into;
    log::ReadTicket ticket = 0;
    bool discard_read = false;       ///< rewound meanwhile: the answer is of no use
    std::uint32_t bytes_needed = 0;  ///< the next batch is longer than a usual chunk
    bool hungry = false;             ///< stands in the list of those that want to read
    Instant retry_read_at{};         ///< not before: the last read failed
    Lane* lane = nullptr;            ///< its only one; null with by_key

private:
    struct Pending {
        log::Offset next;
        std::uint32_t parts_left;
        std::size_t bytes;
    };
    struct Mark {
        log::Offset below;
        Instant when;
    };
    static constexpr std::size_t marks_max = 32;
    static constexpr milliseconds mark_gap_min{1000};

    void move_cursor();
    void add_mark(const Mark& mark);

    std::string topic_;
    std::int32_t partition_;
    log::StreamId stream_;
    log::Offset cursor_;
    log::Offset read_from_;
    std::deque<Pending> pending_;
    std::uint64_t first_pending_ = 1;  // the name of pending_.front()
    std::size_t outstanding_bytes_ = 0;
    std::deque<Mark> marks_;
    milliseconds mark_gap_ = mark_gap_min;
};

}  // namespace leat::uplink
