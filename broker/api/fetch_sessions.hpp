// Fetch sessions (KIP-227): what a client asked for and what it was told, so that a poll of a
// thousand idle partitions is a few bytes both ways.
//
// A session is made when a full request has its answer, and belongs to whoever knows its id: it
// outlives connections. All sessions together take bytes_max at most. One that would not fit may
// take the place of others by Kafka's rule: of those unused for stale_after, the longest unused
// first, then of those that were made longer ago than that, with fewer partitions. If that does not
// make room nothing is evicted, and the client goes on without a session, which costs it nothing
// but bytes. A session that outgrows the bound is closed; its client begins anew.
//
// A client that brings up its place in line: partitions are served in order from `first` on. What
// an answer's size left out comes first in the next one, so nobody at the end starves.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/log/log.hpp"
#include "leat/port/entropy.hpp"

namespace leat::api {

/// The number that follows in a session; 1 after the largest, because 0 begins a session.
constexpr std::int32_t next_session_epoch(std::int32_t epoch) {
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

class FetchSessions {
public:
    static constexpr milliseconds stale_after{120'000};

    struct Partition {
        std::int32_t partition = 0;
        std::uint32_t bytes_max = 0;
        std::int32_t leader_epoch = -1, last_epoch = -1;
        log::Offset offset = 0;
        log::Offset told_high = -1, told_start = -1;  ///< by the last answer; -1 after an error
        log::StreamId stream = 0;                     ///< as of the registry's `changes`
    };
    struct Topic {
        std::vector<Partition> partitions;  ///< by number
        std::size_t sorted = 0;             ///< so many; the rest came since settle()
    };
    /// The topic's name, or the 16 bytes of its id.
    using Topics = std::map<std::string, Topic, std::less<>>;

    struct Session {
        std::int32_t id = 0, epoch = 1;  ///< the epoch that is due next
        bool by_id = false;
        Instant made{}, used{};
        Topics topics;
        std::size_t partitions = 0;
        std::size_t bytes = 0;
        std::string first_topic;  ///< where the next answer begins
        std::int32_t first_partition = 0;
        std::uint64_t changes = 0;  ///< of the registry, when the streams were looked up
        std::uint64_t running = 0;  ///< the fetch that is to be answered, 0: none
    };

    /// `bytes_max` 0: there are no sessions.
    FetchSessions(std::size_t bytes_max, port::Entropy& entropy)
        : bytes_max_(bytes_max), entropy_(entropy) {}

    Session* find(std::int32_t id);
    void remove(std::int32_t id);
    /// A session without partitions yet; `partitions` and `topic_key_bytes` (of `topics` keys) say
    /// what it will hold. Null: there is no room, or no entropy.
    struct Plan {
        bool by_id = false;
        std::size_t partitions = 0, topics = 0, topic_key_bytes = 0;
    };
    Session* begin(Instant now, const Plan& plan);

    /// Adds the partition, or changes what is asked of it. After the last one: settle().
    void put(Session& session, std::string_view topic, const Partition& asked);
    /// settle(), then any number of forget() and another settle().
    void forget(Session& session, std::string_view topic, std::int32_t partition);
    /// false: beyond the bound, and the session is gone.
    bool settle(Instant now, Session& session);
    /// Null: the session has no such partition. Only after settle().
    static Partition* find(Session& session, std::string_view topic, std::int32_t partition);

    struct Counters {
        std::size_t open = 0, partitions = 0, bytes = 0, bytes_max = 0;
        std::uint64_t made = 0, evicted = 0, declined = 0;
    };
    Counters counters() const;

private:
    bool make_room(Instant now, std::size_t needed, std::size_t partitions, std::int32_t keep);
    std::int32_t new_id();
    void measure(Session& session);

    std::size_t bytes_max_;
    port::Entropy& entropy_;
    std::unordered_map<std::int32_t, Session> sessions_;
    std::size_t bytes_ = 0, partitions_ = 0;
    std::uint64_t made_ = 0, evicted_ = 0, declined_ = 0;
    Instant look_again_{};  // a search for room that failed is not repeated before
};

}  // namespace leat::api
