// Fetch requests from decoding to answer: waiting for records, for memory, for the log's reads.
//
//   consider: nothing readable, or too few bytes -> parked until a stream advances or max_wait_ms
//   is over
//             enough, an error, or time is over  -> asks the byte pool for a response's memory
//   read:     partition after partition, each read of the log straight into its place in the
//             response
//             Of thousands of partitions some at a time, so that others get their turn.
//   respond:  the small pieces of the message are written around the records; no record is copied
//
// Thousands may be parked at no cost: a waiter stands in an index by stream and in one by deadline,
// and only the streams that advanced and the deadlines that passed are looked at. What they name is
// bounded: above fetched_partitions_max of all, who names more than a few does not wait.
//
// Layout of the response's memory: [length, header, message up to the first
// records][records][message up to the next records][records]...  The pieces' sizes are known but
// for a varint or two, so each is given its upper bound, and at the end the later records move down
// by those few bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/api/context.hpp"
#include "broker/api/deadlines.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::api {

struct FetchedPartition {
    std::int32_t partition = 0;
    std::uint32_t topic = 0;                          ///< index into Fetching::topics
    std::int32_t leader_epoch = -1, last_epoch = -1;  ///< as asked for (KIP-320, KIP-595)
    log::StreamId stream = 0;                         ///< 0: there is none, error says why
    log::Offset offset = 0;                           ///< asked for; moves on past damage
    std::uint32_t bytes_max = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    log::Offset high_watermark = -1;
    log::Offset log_start = -1;
    log::Offset told_high = -1, told_start = -1;  ///< what the client of a session knows
    wire::FetchResponse::EpochEndOffset
        diverging;                 ///< not -1: answered with this, not with records
    std::size_t at = 0, size = 0;  ///< its records in the response's memory
    std::size_t piece = 0;         ///< bound of the message's part before its records
    std::size_t later = 0;         ///< bound of all parts after them

    bool readable() const {
        return error == wire::ErrorCode::none && diverging.epoch < 0 && high_watermark > offset;
    }
    /// A session's client does not know this yet.
    bool news() const {
        return size > 0 || error != wire::ErrorCode::none || diverging.epoch >= 0 ||
               high_watermark != told_high || log_start != told_start;
    }
};
constexpr std::size_t fetched_partitions_max = 128 * 1024, fetched_few = 16;

struct FetchedTopic {
    std::string name;
    wire::Uuid id;  ///< as asked for
};
struct Fetching {
    std::uint64_t id = 0;
    Address address;
    bool read_committed = false;
    std::uint64_t bytes_min = 1;
    std::size_t bytes_max = 0;
    std::size_t frame_bound = 0;  ///< everything but records
    Instant give_up{};
    std::vector<FetchedTopic> topics;
    std::vector<FetchedPartition> partitions;
    std::size_t asked = 0;              ///< so many partitions, also when these are gone
    std::vector<std::uint32_t> chosen;  ///< the partitions that may stand in the answer, in order

    /// KIP-227: the answer may begin a session, or it belongs to one.
    enum class InSession : std::uint8_t { no, begins, continues } in_session = InSession::no;
    std::int32_t session_id = 0;
    std::int32_t session_epoch = 0;  ///< that the session has while this is its newest request

    enum class State : std::uint8_t {
        parked,
        looking,  ///< at its partitions, some at a time
        wants_memory,
        reading
    } state = State::parked;
    bool abandoned = false;   ///< the session is gone; ends when its read comes back
    bool last_try = false;    ///< answers whatever there is
    bool counted = false;     ///< `known` holds: bytes_min can be judged without reading
    std::uint64_t known = 0;  ///< bytes readable when last counted, and those that came since
    std::size_t known_of = 0;  ///< so many partitions, at most
    std::size_t looked = 0, wanted = 0;  ///< partitions, and the bytes that they may bring
    std::size_t readable = 0;  ///< partitions
    std::uint64_t looks_since = 0;  ///< of ParkedFetches::advances_
    session::Buffer request;  ///< of one that names many: counted until it is parked
    session::Buffer memory;
    std::size_t next = 0;   ///< partition being read, of those chosen
    std::size_t grown = 0;  ///< bytes of a first batch that turned out larger than planned
    std::size_t write_at = 0, total = 0;
    log::ReadTicket ticket = 0;  ///< 0: its turn to read comes
    int reads = 0;
    bool cramped = false;  ///< the read under way has less room than the client allows
    bool cut = false;      ///< so something that is there was left out
    bool again = false;    ///< it was read once more for that
};

class ParkedFetches {
public:
    /// As new: one that was answered, with its memory, or another.
    std::unique_ptr<Fetching> blank();
    void start(Context& context, std::unique_ptr<Fetching> fetching);

    void on_advance(Context& context, const topics::Advance& advance);
    bool on_read(Context& context, const log::ReadDone& done);  ///< false: not one of ours
    void on_memory(Context& context);                           ///< the pool may have granted
    void on_deadline(Context& context);
    void on_session_closed(Context& context, session::SessionId session);
    void give_up_all(Context& context);
    /// Answered with what there is, if it only waits for records; what is being read ends by
    /// itself.
    void finish(Context& context, std::uint64_t id);
    Instant deadline() const { return deadlines_.next(); }
    std::size_t size() const { return all_.size(); }

private:
    void consider(Context& context, Fetching& fetching);
    void look_on(Context& context, Fetching& fetching);
    void looked_at_all(Context& context, Fetching& fetching);
    void park(Fetching& fetching);
    void unpark(Fetching& fetching);
    void begin(Context& context, Fetching& fetching, session::Grant grant);
    void read_next(Context& context, Fetching& fetching);
    void all_read(Context& context, Fetching& fetching);
    void respond(Context& context, Fetching& fetching);
    void drop(Fetching& fetching);
    Fetching* find(std::uint64_t id);

    std::unordered_map<std::uint64_t, std::unique_ptr<Fetching>> all_;
    std::set<std::pair<log::StreamId, std::uint64_t>> waiting_;        // parked, by stream
    std::set<std::pair<session::SessionId, std::uint64_t>> sessions_;  // all, by session
    std::unordered_map<log::ReadTicket, std::uint64_t> reads_;
    Deadlines deadlines_;  // parked
    std::vector<std::unique_ptr<Fetching>> spare_;
    std::uint64_t next_id_ = 1;
    std::uint64_t advances_ = 0;
    std::size_t partitions_ = 0;  // of all
};

}  // namespace leat::api
