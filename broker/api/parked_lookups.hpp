// ListOffsets requests that need the log's reads (by timestamp) or a commit (the largest timestamp,
// or what was acknowledged before the end was asked for, is not durable yet). Of thousands of
// partitions some are looked at in each turn.
//
// The largest timestamp. The log knows its value, not its record: that is looked up like any time.
// If retention has taken the record, the largest of those that are left is searched by bisection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/api/context.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::api {

struct LookedUp {
    std::int32_t partition = 0;
    log::StreamId stream = 0;
    std::int64_t target = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int64_t timestamp = -1;
    log::Offset offset = -1;
    std::int32_t leader_epoch = -1;
    std::int64_t probe = -1;  ///< the time that is being looked up
    std::int64_t above = -1;  ///< largest timestamp only: it is below this, or is the first probe
    bool waited = false;      ///< for what is acknowledged already; once is enough
};
struct LookupTopic {
    std::string name;
    std::vector<LookedUp> partitions;
};
struct Lookup {
    Address address;
    std::vector<LookupTopic> topics;
    std::size_t open = 0;  ///< partitions without a result
    std::size_t topic = 0, partition = 0;  ///< the next that is looked at
};

class ParkedLookups {
public:
    /// Starts the reads that are needed; answers at once if none is, and there are few.
    void start(Context& context, std::unique_ptr<Lookup> lookup);
    bool on_found(Context& context, const log::TimeDone& done);  ///< false: not one of ours
    std::size_t size() const { return all_.size(); }

private:
    struct Place {
        std::uint64_t lookup;
        std::size_t topic, partition;
    };
    void go_on(Context& context, std::uint64_t id);
    void resolve(Context& context, std::uint64_t id, Lookup& lookup, std::size_t topic,
                 std::size_t partition);
    void wait(Context& context, Lookup& lookup, const Place& place, log::CommitId commit);
    void look_up(Context& context, LookedUp& one, const Place& place, Lookup& lookup);
    void finish_if_done(Context& context, std::uint64_t id);

    std::unordered_map<std::uint64_t, std::unique_ptr<Lookup>> all_;
    std::unordered_map<log::ReadTicket, Place> reads_;
    std::uint64_t next_id_ = 1;
};

}  // namespace leat::api
