// The room's door: requests in, and the events that let parked answers go.
#pragma once

#include <utility>

#include "broker/api/commits.hpp"
#include "broker/api/context.hpp"
#include "broker/api/fetch_sessions.hpp"
#include "broker/api/judging.hpp"
#include "broker/api/parked_fetches.hpp"
#include "broker/api/parked_groups.hpp"
#include "broker/api/parked_lookups.hpp"
#include "broker/api/parked_produces.hpp"
#include "broker/api/room_waits.hpp"
#include "broker/api/turns.hpp"

namespace leat::api {

class Api final : public session::Handler {
public:
    Api(const Settings& settings, topics::Topics& topics, log::Log& log, session::BytePool& pool,
        groups::Groups& groups, quotas::Quotas& quotas, port::Entropy& entropy,
        quotas::Stopwatch* stopwatch = nullptr);
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    void set_cluster_id(std::string id) {
        settings_.cluster_id = std::move(id);
    }  ///< known once the log is open

    void handle(Instant now, WallTime wall, session::Request request,
                session::Reply reply) override;
    void on_session_closed(session::SessionId session) override;

    /// After anything the log may have finished: commits that are durable or given up.
    void on_log(Instant now, WallTime wall);
    void on_advance(Instant now, WallTime wall,
                    const topics::Advance& advance);  ///< topics.poll_advance
    /// on_read and on_found take the log's results one by one and say whether the ticket was theirs
    /// (the uplink has its own).
    bool on_read(Instant now, WallTime wall, const log::ReadDone& done);
    bool on_found(Instant now, WallTime wall, const log::TimeDone& done);
    /// Work to be run elsewhere; work_done() when it was. Whatever is never run is never answered.
    std::optional<Work> poll_work() { return judging_.poll_work(); }
    void work_done(Instant now, WallTime wall, WorkId id);
    std::vector<Fed> take_fed() { return std::exchange(context_.fed, {}); }
    void on_memory(Instant now, WallTime wall);  ///< the byte pool has room again
    void on_deadline(Instant now, WallTime wall);
    Instant deadline() const {
        return earlier(earlier(context_.groups.deadline(), turns_.empty() ? never : context_.now),
                       earlier(earlier(produces_.deadline(), fetches_.deadline()),
                               room_waits_.deadline()));
    }

    /// The broker stops: whoever waits for records or room is answered now. Appended batches keep
    /// waiting for their commit, which the log's last flush brings.
    void stop(Instant now, WallTime wall);

    struct Parked {
        std::size_t produces, fetches, lookups;
    };
    Parked parked() const {
        return {judging_.size() + produces_.size(), fetches_.size(), lookups_.size()};
    }
    const Pressure::Counters& pressure() const { return context_.pressure.counters(); }
    FetchSessions::Counters fetch_sessions() const { return fetch_sessions_.counters(); }

private:
    void tell(Instant now, WallTime wall) {
        context_.now = now;
        context_.wall = wall;
    }

    Settings settings_;
    std::uint32_t elements_ = 0;  ///< of all requests at work
    bool stopping_ = false;
    Commits commits_;
    Turns turns_;
    RoomWaits room_waits_{turns_};
    Judging judging_;
    ParkedProduces produces_;
    FetchSessions fetch_sessions_;
    ParkedFetches fetches_;
    ParkedLookups lookups_;
    ParkedGroups parked_groups_;
    Context context_;
};

}  // namespace leat::api
