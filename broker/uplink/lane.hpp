// The way to one upstream partition: what waits for it in order, under the SDK's Sender.
//
// A batch that the upstream refuses for good (time stamp, no permission) is never skipped, unless
// the route says so: the lane gives back everything that is behind it, in order, stalls, and tries
// again after a back-off. One that is too large and has several records goes again in parts; from
// then on no batch of the lane is larger than half of what was refused.
//
//   flowing --refused--> failing --nothing in flight--> stalled --back-off over--> flowing
//
// An exact lane has one stream, whose batches always come in the same cuts. So a batch's sequence
// follows from its offset and the fact that says under which name, and from which offset on, the
// stream was sent (cursor.hpp). After a restart the records from the cursor to the then end of the
// log are in doubt, and are sent again under their old numbers, one at a time:
//   - found upstream by recall.hpp, where the upstream has forgotten the numbers: not sent
//   - taken: it is there now, or it was among the last five already
//   - OUT_OF_ORDER_SEQUENCE: older than the last five, or the upstream lost what is before it. Only
//     a later batch that is taken proves the first: until then it is passed, not delivered.
//   - none was taken, or the upstream does not know the numbers: everything from the cursor on is
//     sent again under a new name. This alone can make a duplicate.
// What is behind the doubt goes under this run's own name. Nothing goes under a name before the
// fact that keeps it is durable: a new one, the next epoch's, another cluster's.
//
// Within one life what was sent and not answered is in doubt, too, on every lane. The queue keeps
// its numbers and sends it again, which the upstream takes for what it has; where it may have
// forgotten them meanwhile, recall.hpp looks first.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <set>
#include <string>

#include "broker/log/log.hpp"
#include "broker/uplink/recall.hpp"
#include "broker/uplink/reencode.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::uplink {

class Tap;
class Lane;

constexpr std::uint32_t no_batch_limit = UINT32_MAX;

/// Bytes that were read or made, and what they count in the route's memory. Two kinds of owners:
/// the batches that lie in it, each until it is settled, and the tap while it hands them out.
struct Chunk {
    /// share: of the account, what its broker's partitions hold
    Chunk(std::size_t& account, std::size_t& share) : account_(account), share_(share) {}
    ~Chunk() {
        account_ -= counted_;
        share_ -= counted_;
    }
    Chunk(const Chunk&) = delete;
    Chunk& operator=(const Chunk&) = delete;

    /// After every change of what it holds.
    void count() {
        const std::size_t count = bytes.capacity() + offsets.capacity() * sizeof(OffsetRange);
        account_ += count - counted_;
        share_ += count - counted_;
        counted_ = count;
    }

    std::vector<std::uint8_t> bytes;
    std::vector<OffsetRange> offsets;  ///< of the records in it; empty: it holds local batches

private:
    std::size_t& account_;
    std::size_t& share_;
    std::size_t counted_ = 0;
};

/// A batch on its way.
struct Outgoing {
    client::SourceBatch source;
    std::shared_ptr<const Chunk> memory;
    Tap* tap = nullptr;                ///< null: its topic was deleted, nobody waits for it
    std::uint64_t pending = 0;         ///< the tap's name for the local batch
    log::Offset base = 0;              ///< of the local batch
    log::Offset next = -1;             ///< its end; -1: another part of it comes behind
    std::int32_t sequence_after = -1;  ///< of the next record on this lane, once settled
    bool whole_only = false;           ///< its records cannot be taken apart
    std::set<std::int32_t> refused;    ///< places of records that the upstream named

    std::size_t bytes() const { return source.records.size() + wire::batch_header_size; }
};

class LaneOwner {
public:
    virtual void delivered(Lane& lane, const Outgoing& batch) = 0;
    /// In doubt: it may be there already, and waits for a later one to prove it.
    virtual void passed(Lane& lane, const Outgoing& batch) = 0;
    /// The next batch may not go under the queue's present name. Told once, until name_is_tended.
    virtual void wants_name(Lane& lane) = 0;
    /// The upstream may have forgotten a producer whose last record had this time stamp.
    virtual bool may_be_forgotten(std::int64_t timestamp) = 0;
    /// The upstream has sent the next batch back with `error` many times in a row.
    virtual void lane_retrying(Lane& lane, wire::ErrorCode error) = 0;
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
    const client::PartitionQueue& queue() const { return queue_; }
    wire::ErrorCode error() const { return error_; }  ///< why it fails or is stalled
    unsigned failures() const { return failures_; }   ///< in a row
    /// Its next batch is refused, for good or again and again.
    bool is_refused() const { return failures_ > 0 || retrying_; }
    Instant retry_at() const { return retry_at_; }  ///< while stalled

    // exact
    bool is_exact() const { return exact_; }
    Tap* tap() const { return tap_; }  ///< its only one; null if not exact, or gone
    void set_exact(Tap& tap);
    std::uint32_t place() const { return place_; }  ///< as SentAs
    bool is_in_doubt() const { return doubt_until_ >= 0; }
    /// Records before this were perhaps sent by an earlier life.
    log::Offset doubt_until() const { return doubt_until_; }
    /// Before the first batch.
    void doubt(const client::ProducerState& as, log::Offset until);
    /// From here on the records are not those of the earlier life, or not all of them.
    void limit_doubt(log::Offset until);
    /// The numbers mean the same where they are sent to now, and so much is there already.
    void trust(std::uint32_t place, SentBatches there);
    /// Nothing is taken: a new name comes next. Nothing may be passed.
    void end_doubt();
    bool has_passed() const { return !passed_.empty(); }
    bool is_trusted() const { return trusted_; }
    bool has_lost_doubt() const { return lost_doubt_; }  ///< why it fails or is stalled
    /// Gives up to prove what was passed: the lane fails, and what it held is sent again.
    void lose_doubt(wire::ErrorCode error);
    bool is_empty() const { return waiting_.empty(); }
    bool has_doubtful_waiting() const {
        return !waiting_.empty() && waiting_.front().base < doubt_until_;
    }
    /// What is sent next may go under the queue's present name.
    bool is_named() const {
        const client::ProducerState& as = queue_.sending_as();
        return as.producer_id == named_.producer_id && as.producer_epoch == named_.producer_epoch;
    }
    /// The queue's present name, with the sequence of the record at the cursor. Nothing is passed.
    client::ProducerState name_wanted();
    /// The fact about this name is durable, or is not waited for any more.
    void name(const client::ProducerState& as, std::uint32_t place);
    void ask_for_name();
    void name_is_tended() { asked_for_name_ = false; }
    /// The owner looks again by itself. returns  since when it waits for the fact
    Instant wait_for_name(Instant now) {
        asked_for_name_ = true;
        return name_waits_since_ = earlier(name_waits_since_, now);
    }
    Instant name_waits_since() const { return name_waits_since_; }

    // what was sent in this life, and not answered
    /// It is to be recalled (Recall) before it goes again; tells wants_name until it is.
    bool wants_recall() const { return wants_recall_; }
    /// So much of it is there already. Nothing is in flight.
    /// returns  whether that is all of it
    bool recalled(Instant now, const SentBatches& there);
    /// What is in doubt, of this life or an earlier one, cannot lie before this upstream offset.
    log::Offset upstream_end() const { return upstream_end_; }
    void set_upstream_end(log::Offset offset) { upstream_end_ = offset; }

    void add(Outgoing batch);
    /// The numbers mean nothing any more: fails, gives back what it has, and goes on under new
    /// ones.
    void start_over();
    bool starts_over() const { return starts_over_; }
    /// Gives up what is not in flight. true: nothing is any more, and the lane is stalled until
    /// `retry_at`.
    bool finish_failing(Instant now);
    void stall_until(Instant when) { retry_at_ = when; }
    /// What it failed for is out of its way.
    void go_on(Instant now) {
        failures_ = 0;
        retry_at_ = now;
    }
    /// No batch goes out larger than this with its header, if it has several records.
    std::uint32_t batch_bytes_max() const { return batch_bytes_max_; }
    void limit_batches(std::uint32_t bytes) { batch_bytes_max_ = bytes; }
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
    bool may_send_again(std::uint16_t slot, Instant now) override;
    bool may_send_renamed(std::uint16_t slot) override;
    void retrying(std::uint16_t slot, wire::ErrorCode error, unsigned times) override;
    void record_refused(std::uint16_t slot, std::uint64_t ticket, std::int32_t record) override;

private:
    bool may_send(const Outgoing& batch) const;
    bool take_found();
    void confirm(const Outgoing& batch);
    bool settle_doubtful(Outgoing& batch, wire::ErrorCode error);
    void begin_failing(wire::ErrorCode error);

    LaneOwner& owner_;
    std::string topic_;
    std::int32_t partition_;
    std::array<client::TakenBatch, client::in_flight_max> window_{};
    client::PartitionQueue queue_;
    std::deque<Outgoing> waiting_;
    std::deque<Outgoing> taken_;
    std::deque<Outgoing> returned_;  // while failing
    std::deque<Outgoing> passed_;    // in doubt; without memory
    client::ProducerState named_{};  // what may be sent under, by id and epoch
    Tap* tap_ = nullptr;
    SentBatches there_;  // of the doubt
    log::Offset doubt_until_ = -1;
    log::Offset upstream_end_ = 0;
    std::uint32_t place_ = 0;
    Instant passed_since_{};  // the oldest of them
    Instant settled_at_{};    // when the last batch was
    Instant name_waits_since_ = never;
    bool exact_ = false;
    bool asked_for_name_ = false;
    bool trusted_ = false;  // the doubt's numbers mean the same here
    bool lost_doubt_ = false;
    bool starts_over_ = false;
    bool retrying_ = false;  // for so long that it was told
    bool wants_recall_ = false;
    std::uint32_t recalled_losses_ = UINT32_MAX;  // which of the queue's the last recall was about
    Instant recalled_at_{};
    std::uint64_t next_ticket_ = 1;
    Instant now_{};
    Instant retry_at_ = never;
    wire::ErrorCode error_ = wire::ErrorCode::none;
    unsigned failures_ = 0;
    std::uint32_t batch_bytes_max_ = no_batch_limit;
    State state_ = State::flowing;
};

}  // namespace leat::uplink
