// Produce requests whose compressed batches are validated elsewhere, and the order of what stands
// behind them.
//
// Each partition has a line of tickets. A request takes a ticket in the line of every partition it
// writes to, and is appended when its verdicts are there and it is first in all of its lines; so
// the order of appends to a partition is the order of arrival, whichever work ends first. A request
// of uncompressed batches joins a line only if there is one. Requests that share no partition pass
// each other.
//
// A topic with a codec of its own (compression.type) has the batch recoded in the same work; what
// then is held beside the requests has a bound: above it no more such work is handed out.
//
// The session is held meanwhile. A session that closes takes nothing back: what was received is
// appended (as Kafka does) if the log has room, only the answer has no taker. The request's bytes,
// counted in the byte pool, stay until done(), because the work reads them.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "broker/api/context.hpp"
#include "broker/api/parked_produces.hpp"
#include "broker/api/work.hpp"
#include "sdk/wire/api/00_produce.hpp"

namespace leat::api {

class Judging {
public:
    /// Must the request be given to add(): has it a compressed batch, or stands one before it?
    bool concerns(const Context& context, const wire::ProduceRequest& request,
                  std::int16_t version) const;
    /// `produced` owns its body.
    void add(Context& context, std::unique_ptr<Produced> produced);

    std::optional<Work> poll_work();
    void done(Context& context, WorkId id);
    /// Refuses what waits, and appends none of it. Bytes that a work may be reading stay.
    void give_up_all(Context& context);

    std::size_t size() const { return waiting_.size(); }

    static constexpr std::size_t recoded_bytes_max = 4 * 1024 * 1024;

private:
    using Ticket = WorkId;
    struct Batch {
        std::size_t position;
        ByteView records;
        topics::BatchRules rules;
        topics::Validated validated;
    };
    struct Waiting {
        std::unique_ptr<Produced> produced;  ///< null: was given up, only the work is to come
        session::Buffer pinned;              ///< its bytes then
        std::vector<Batch> batches;
        std::vector<log::StreamId> lines;
        std::size_t may_hold = 0;  ///< bytes of recoded batches
        bool judged = false;
    };

    bool is_first(Ticket ticket, const Waiting& waiting) const;
    void append_ready(Context& context, std::set<Ticket> candidates);
    void leave_lines(Ticket ticket, const Waiting& waiting, std::set<Ticket>& now_first);

    std::unordered_map<Ticket, std::unique_ptr<Waiting>> waiting_;  // bounded by the sessions held
    std::unordered_map<log::StreamId, std::deque<Ticket>> lines_;   // none is empty
    std::deque<Ticket> to_run_;
    Ticket next_ticket_ = 1;
    /// Bytes of recoded batches; shared with the requests that hold them, which may end later.
    std::shared_ptr<std::size_t> held_ = std::make_shared<std::size_t>(0);
};

}  // namespace leat::api
