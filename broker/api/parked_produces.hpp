// Produce requests on their way: those that wait for room in the log before they are appended
// whole, and those that are appended and wait for their commit (acks=all).
//
// Room. When the log's open groups are full, the request keeps its body, its session is held (so
// the next request of the same connection cannot overtake it), and it goes on after the next commit
// where it stopped. New requests queue behind it. After its timeout_ms, but not before wait_min,
// the rest is refused and never appended. A full log is another matter: of a topic with
// leat.full.policy=block the request waits beside that queue, for nobody else is to wait with it,
// until a segment is freed; those that wait hold a bounded share of the byte pool, further ones are
// refused as if the policy were reject. So do those of a topic that drops its oldest: what is
// dropped is free after a commit, and who is refused meanwhile sends again behind its own later
// batches, if it is not idempotent. They wait as long, but not longer than wait_min, for what is
// full of what must not be dropped stays so. Commit. The answer leaves when the last of its batches is
// durable, or with REQUEST_TIMED_OUT after timeout_ms, but not before wait_min (the batches may
// still become durable: the producer sends again, and is recognised if it is idempotent).
//
// wait_min. With one replica there is nobody else to wait for: Kafka then answers at once, whatever
// timeout_ms says, also 0. Here a flush lies in between, which is no reason to tell such a client
// that its records may be lost, and to be sent them twice.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/api/context.hpp"
#include "broker/api/deadlines.hpp"

namespace leat::api {

struct ProducedPartition {
    std::int32_t index = 0;
    topics::Append append;
};
constexpr std::int16_t ids_since = 13;  ///< Produce names topics before it
struct ProducedTopic {
    std::string name;
    topics::TopicId id{};  ///< as asked for
    std::vector<ProducedPartition> partitions;
};
/// What validation said of a batch before its turn to be appended came (see judging.hpp).
struct Verdict {
    std::size_t position = 0;  ///< among the partitions of the request
    topics::Validated validated;
};
/// A request's part of a sum of bytes, given back with it.
class Held {
public:
    Held() = default;
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { take(nullptr, 0); }
    void take(std::shared_ptr<std::size_t> sum, std::size_t bytes) {
        if (sum_) *sum_ -= bytes_;
        sum_ = std::move(sum);
        bytes_ = bytes;
        if (sum_) *sum_ += bytes_;
    }

private:
    std::shared_ptr<std::size_t> sum_;
    std::size_t bytes_ = 0;
};
constexpr milliseconds wait_min{5'000};  ///< a flash card may be away for seconds
struct Produced {
    Address address;
    std::int16_t acks = 0;
    Instant give_up = never;   ///< timeout_ms; who waits for a full log
    Instant soon_until = never;  ///< ... and, where it makes room itself, no longer than this
    Instant patience = never;  ///< not before wait_min; who waits for full groups or its commit
    session::Buffer body;               ///< only while it waits for a verdict or for room
    std::size_t body_at = 0;            ///< where the message starts in it
    std::vector<ProducedTopic> topics;  ///< as far as appended
    std::size_t appended = 0;           ///< partitions done, in the order of the request
    std::vector<Verdict> verdicts;      ///< of batches judged elsewhere, by position
    Held held;                          ///< what those hold
    bool timed_out = false;             ///< the rest is refused
    bool blocked = false;               ///< stopped by a full log, not by full groups
    bool soon = false;                  ///< ... whose oldest records make room for these
    milliseconds throttle{0};           ///< of the fullest of its topics, when it is answered
    bool refuse_when_full = false;      ///< too many wait for a full log already

    Instant blocked_until() const { return soon ? std::min(give_up, soon_until) : give_up; }
};

class ParkedProduces {
public:
    /// Must new requests queue, because others wait for room already?
    bool waiting_for_room() const { return !room_.empty(); }
    void wait_for_room(Context& context, std::unique_ptr<Produced> produced);
    void wait_for_commit(std::unique_ptr<Produced> produced);

    void settle(Context& context);  ///< after every commit, and after rolled_back
    void rolled_back(Context& context, log::CommitId first, log::CommitId last);
    void on_deadline(Context& context);
    void give_up_room(Context& context);
    Instant deadline() const { return deadlines_.next(); }
    std::size_t size() const { return room_.size() + blocked_.size() + by_id_.size(); }

private:
    using Queue = std::deque<std::unique_ptr<Produced>>;
    void retry_room(Context& context);
    void retry_blocked(Context& context);
    void block(Context& context, std::unique_ptr<Produced> produced);
    void await_segment(Context& context, std::unique_ptr<Produced> produced);
    void end(Context& context, std::unique_ptr<Produced> produced);
    std::size_t blocked_bytes() const;

    Queue room_;
    Queue blocked_;  ///< until a segment is free
    std::uint64_t last_recycled_ = 0;
    std::multimap<log::CommitId, std::uint64_t> by_commit_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Produced>> by_id_;
    Deadlines deadlines_;
    log::CommitId last_settled_ = 0;
    bool given_up_ = false;  ///< a commit since then: that, too, makes room in the log's groups
    std::uint64_t next_id_ = 1;
};

/// Appends from produced.appended on; false: must wait for room (the rest stays as it is).
/// 00_produce.cpp.
bool append_rest(Context& context, Produced& produced, ByteView body);
/// The request's turn has come: appends, finishes or waits for room. 00_produce.cpp.
void append_parked(Context& context, std::unique_ptr<Produced> produced);
/// All partitions are appended or refused: answers, or parks until durable. 00_produce.cpp.
void finish_produce(Context& context, std::unique_ptr<Produced> produced);
void answer_produce(Context& context, Produced& produced);

}  // namespace leat::api
