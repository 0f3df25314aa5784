// The way to one upstream partition: what waits for it in order, under the SDK's Sender.
//
// A batch that the upstream refuses for good (too large, time stamp, no permission) is never
// skipped: the lane gives back everything that is behind it, in order, stalls, and tries again
// after a back-off.
//
//   flowing --refused--> failing --nothing in flight--> stalled --back-off over--> flowing
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>

#include "broker/log/log.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::uplink {

class Tap;
class Lane;

/// Bytes that were read or made, and what they count in the route's memory. Two kinds of owners:
/// the batches that lie in it, each until it is settled, and the tap while it hands them out.
struct Chunk {
    explicit Chunk(std::size_t& account) : account_(account) {}
    ~Chunk() { account_ -= counted_; }
    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;

    /// After every change of `bytes`.
    void count() {
        account_ += bytes.capacity() - counted_;
        counted_ = bytes.capacity();
    }

    std::vector<std::uint8_t> bytes;

private:
    std::size_t& account_;
    std::size_t counted_ = 0;
};

/// A batch on its way.
struct Outgoing {
    client::SourceBatch source;
    std::shared_ptr<const Chunk> memory;
    Tap* tap = nullptr;         ///< null: its topic was deleted, nobody waits for it
    std::uint64_t pending = 0;  ///< the tap's name for the local batch
};

class LaneOwner {
public:
    virtual void delivered(Lane& lane, const Outgoing& batch) = 0;
    /// The lane has begun to fail; the owner calls finish_failing until it is true.
    virtual void lane_failing(Lane& lane) = 0;

protected:
    ~LaneOwner() = default;
};

class Lane final : public client::BatchSource {
public:
    enum class State : std::uint8_t { flowing, failing, stalled, leaving };

    Lane(LaneOwner& owner, std::string topic, std::int32_t partition)
        : owner_(owner),
          topic_(std::move(topic)),
          partition_(partition),
          queue_(topic_, partition, *this, 0, window_) {}

    const std::string& topic() const { return topic_; }
    std::int32_t partition() const { return partition_; }
    State state() const { return state_; }
    client::PartitionQueue& queue() { return queue_; }
    wire::ErrorCode error() const { return error_; }  ///< why it fails or is stalled
    unsigned failures() const { return failures_; }   ///< in a row
    Instant retry_at() const { return retry_at_; }    ///< while stalled

    void add(Outgoing batch);
    /// Gives up what is not in flight. true: nothing is any more, and the lane is stalled until
    /// `retry_at`.
    bool finish_failing(Instant now);
    void stall_until(Instant when) { retry_at_ = when; }
    /// What is in the lane, oldest first; nothing is in flight (stalled).
    std::deque<Outgoing>& held() { return waiting_; }
    void resume();
    /// Nothing more is offered; what is in flight is no longer of interest.
    void leave();
    /// This tap is gone: its batches that were not sent are dropped, the others are nobody's.
    void forget(const Tap& tap);

    client::Peek peek(std::uint16_t slot, Instant now, client::SourceBatch& out) override;
    void take(std::uint16_t slot, std::uint64_t ticket) override;
    void settle(std::uint16_t slot, std::uint64_t ticket, const client::Outcome& outcome) override;
    Instant oldest(std::uint16_t) const override {
        return never;
    }  // nothing of the log expires here

private:
    LaneOwner& owner_;
    std::string topic_;
    std::int32_t partition_;
    std::array<client::TakenBatch, client::in_flight_max> window_{};
    client::PartitionQueue queue_;
    std::deque<Outgoing> waiting_;
    std::deque<Outgoing> taken_;
    std::deque<Outgoing> returned_;  // while failing
    std::uint64_t next_ticket_ = 1;
    Instant now_{};
    Instant retry_at_ = never;
    wire::ErrorCode error_ = wire::ErrorCode::none;
    unsigned failures_ = 0;
    State state_ = State::flowing;
};

}  // namespace leat::uplink
