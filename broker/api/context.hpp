// What a handler may use. Handlers have no state of their own: what waits lives in the Parked*
// objects.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/api/pressure.hpp"
#include "broker/api/turns.hpp"
#include "broker/groups/groups.hpp"
#include "broker/log/log.hpp"
#include "broker/quotas/quotas.hpp"
#include "broker/session/sessions.hpp"
#include "broker/topics/topics.hpp"
#include "leat/time.hpp"
#include "sdk/wire/codec.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {

/// Plain numbers out of the broker's configuration.
struct Settings {
    std::int32_t node_id = 0;
    std::string host;  ///< advertised
    std::int32_t port = 9092;
    std::string cluster_id;
    bool auto_create_topics = true;
    std::int32_t num_partitions = 1;
    bool accept_replication_factor = true;
    std::uint32_t partitions_per_topic_max = 10'000;
    std::uint32_t response_bytes_max =
        1024 * 1024;  ///< of records in one Fetch answer; one batch at least
    std::uint32_t fetch_session_bytes_max = 1024 * 1024;  ///< of all fetch sessions; 0: none
    std::string log_dir = "leat";                         ///< as DescribeLogDirs names it
    // Of others, for DescribeConfigs to show.
    std::uint32_t connections_max = 12'000, request_bytes_max = 8 * 1024 * 1024;
    std::uint32_t segment_bytes = 0;  ///< as configured; 0: chosen
    milliseconds idle{600'000};
    std::string gateway_prefix;  ///< of client ids: what such clients produce to is told (Fed)
};

/// Another gateway brings records of `topic` here.
struct Fed {
    std::string topic, gateway;  ///< gateway: its client id, without the prefix
};

class FetchSessions;
class Judging;
class RoomWaits;
class ParkedProduces;
class ParkedFetches;
class ParkedLookups;
class Commits;
class ParkedGroups;

/// Who pays for what the broker's thread does, while a handler runs.
struct Working {
    quotas::Payer payer = 0;
    session::SessionId session = 0;
    std::int64_t since_ns = 0;
};

/// Elements of all arrays of requests that are at work, together. One of a few bytes becomes some
/// hundred bytes of state and answer: a frame of the size that is allowed would be half a gigabyte.
constexpr std::uint32_t elements_max = 65'536;
constexpr std::uint32_t elements_few = 128;  ///< of one request: never refused

/// A request's part of them, given back with it.
class Elements {
public:
    Elements() = default;
    Elements(std::uint32_t& sum, std::uint32_t count) : sum_(&sum), count_(count) {
        *sum_ += count_;
    }
    Elements(Elements&& other) noexcept { *this = std::move(other); }
    Elements& operator=(Elements&& other) noexcept {
        std::swap(sum_, other.sum_);
        std::swap(count_, other.count_);
        return *this;
    }
    ~Elements() {
        if (sum_ != nullptr) *sum_ -= count_;
    }

private:
    std::uint32_t* sum_ = nullptr;  ///< the room's, which outlives all requests
    std::uint32_t count_ = 0;
};

struct Context {
    Instant now;
    WallTime wall;
    std::uint32_t& elements;  ///< of all requests at work
    const Settings& settings;
    topics::Topics& topics;
    log::Log& log;
    session::BytePool& pool;
    Commits& commits;
    Turns& turns;
    RoomWaits& room_waits;
    Judging& judging;
    ParkedProduces& produces;
    ParkedFetches& fetches;
    FetchSessions& fetch_sessions;
    ParkedLookups& lookups;
    groups::Groups& groups;
    ParkedGroups& parked_groups;
    quotas::Quotas& quotas;
    quotas::Stopwatch* stopwatch = nullptr;  ///< null: work is not measured
    Working working = {};
    Pressure pressure = {};
    std::vector<Fed> fed = {};  ///< until Api::take_fed
    /// The newest commit that was acknowledged, durable or not (acks 0 and 1).
    log::CommitId acknowledged = 0;
};

/// How an answer is addressed: the request's version and correlation id, and the slot it goes to.
struct Call {
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
    wire::StringView client_id;  ///< borrowed from the frame
    ByteView body;               ///< borrowed from the frame
    session::Request request;
    session::Reply reply;
    quotas::Payer payer = 0;  ///< of a Fetch: for what it brings; of topics: for partitions
    Elements elements = {};
};

/// The owning part of a Call, for answers that come later.
struct Address {
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
    session::Reply reply;
    quotas::Payer payer = 0;
    Elements elements = {};
};
inline Address address_of(Call& call) {
    return {call.version, call.correlation_id, std::move(call.reply), call.payer,
            std::move(call.elements)};
}

/// Whether a request that has so many elements, or cannot be decoded, is worked on. If not, its
/// connection is closed. dispatch.cpp.
bool admit(Context& context, Call& call, const Result<std::uint32_t>& elements);

/// The request of a call, admitted.
template <class Request>
std::optional<Request> read(Context& context, Call& call) {
    std::optional<Request> request(std::in_place);
    if (!admit(context, call,
               wire::Runtime<Request>::decode_front(call.body, call.version, *request)))
        request.reset();
    return request;
}

}  // namespace leat::api
