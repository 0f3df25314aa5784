// A member of a consumer group (the classic protocol): finds the coordinator, joins, assigns when
// it leads, syncs, sends heartbeats, commits, leaves. Errors are answered as Java's
// ConsumerCoordinator (4.3) answers them.
//
// Sans-IO, on a Router. What the program must take part in comes as events, in order, and nothing
// goes on until each is `handled`:
//
//   revoked   give these up: commit what is to be committed, then handled()
//   lost      these are somebody else's already: forget them, commit nothing
//   assigned  start to read these, from their committed offsets
//
// Eager assignors: revoked (all) -> JoinGroup -> SyncGroup -> assigned (all). Cooperative ones:
// JoinGroup -> SyncGroup -> revoked (what went elsewhere) -> assigned (what is new), and once more
// if something was revoked (KIP-429). A configured list is eager if one of its assignors is.
//
// A rebalance begins at on_poll() only, and a program that does not poll for max_poll_interval is
// taken out of the group: its partitions shall not stand still.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sdk/cluster/assignor.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::cluster {

struct GroupConfig {
    std::string group_id;
    std::optional<std::string> instance_id;  ///< a static member (KIP-345): a restart moves nothing
    milliseconds session_timeout{45'000};
    milliseconds heartbeat_interval{3'000};
    milliseconds max_poll_interval{300'000};  ///< also how long a rebalance waits for this member
    milliseconds request_timeout{30'000};
    std::vector<Assignor> assignors{Assignor::range, Assignor::cooperative_sticky};
    client::BackoffConfig retry{};
    std::uint32_t seed = 1;
};

struct GroupEvent {
    enum class Kind : std::uint8_t {
        revoked,
        lost,
        assigned,
        failed,  ///< for good: `error` says why (fenced, not allowed, no common assignor). Not to
                 ///< be handled; subscribe() starts over
    };
    Kind kind{};
    Partitions partitions;
    wire::ErrorCode error = wire::ErrorCode::none;
};

using GroupRequestId = std::uint64_t;

/// The end of a commit or of a question for committed offsets.
struct GroupAnswer {
    GroupRequestId id = 0;
    Status status = ok();  ///< fails: timed_out · refused (`error`) · closed
    wire::ErrorCode error = wire::ErrorCode::none;  ///< the first one; none: all went well
    std::map<TopicPartition, wire::ErrorCode> refused;
    Offsets offsets;  ///< of a question
};

class GroupMember final : public Requester {
public:
    GroupMember(Router& router, GroupConfig config);
    ~GroupMember();
    GroupMember(const GroupMember&) = delete;
    GroupMember& operator=(const GroupMember&) = delete;

    // ask
    enum class State : std::uint8_t {
        idle,
        preparing,
        joining,
        assigning,
        syncing,
        stable,
        failed
    };
    State state() const { return state_; }
    const std::string& member_id() const { return member_id_; }
    std::int32_t generation() const { return generation_; }
    bool is_leader() const { return is_leader_; }
    const std::set<TopicPartition>& owned() const { return owned_; }
    const GroupConfig& config() const { return config_; }
    bool has_left() const { return !leaving_; }
    bool has_unanswered_commit() const;
    bool is_subscribed() const { return matches_ || !topics_.empty(); }
    /// An event or an answer waits, or a rebalance waits for on_poll.
    bool has_news() const {
        return !events_.empty() || !answers_.empty() ||
               (rejoin_wanted_ && unhandled_ == 0 &&
                (state_ == State::stable || (state_ == State::idle && !matches_)));
    }

    // want
    /// Takes part from the next on_poll() on. Replaces an earlier subscription.
    void subscribe(Instant now, std::vector<std::string> topics);
    /// Every topic that is not internal and for which `matches` says so, also those to come.
    void subscribe_matching(Instant now, std::function<bool(std::string_view)> matches);
    /// Leaves. What is owned is revoked first (an event).
    void unsubscribe(Instant now);
    /// Partitions are not given up by an event: for the end of a program. Static members stay.
    void leave(Instant now);
    void on_poll(Instant now);
    /// Commits as this member, or, without a subscription, as one from outside the group.
    /// Subscribed and put out (or not in yet) it is refused with ILLEGAL_GENERATION and nothing is
    /// sent: from outside it could overwrite what the partitions' new owners committed.
    GroupRequestId commit(Instant now, Offsets offsets, milliseconds timeout);
    GroupRequestId fetch_committed(Instant now, Partitions partitions, milliseconds timeout);
    void handled(Instant now);

    // Requester, for the Router
    void pump(Instant now, Router& router) override;
    void on_answer(Instant now, Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

    // drain
    std::optional<GroupEvent> poll_event();
    std::optional<GroupAnswer> poll_answer();

private:
    enum class What : std::uint8_t { find, join, sync, heartbeat, leave, offsets };
    struct Offering {
        GroupAnswer answer;
        bool is_commit = false;
        Instant deadline{};
        Offsets offsets;
        Partitions partitions;
        std::int32_t generation = -1;
    };

    bool is_cooperative_group() const;
    bool is_member() const { return generation_ >= 0 && !member_id_.empty(); }
    void tell(GroupEvent::Kind kind, Partitions partitions);
    void fail_for_good(wire::ErrorCode error);
    void forget_membership();
    void lose_all();
    void want_rejoin() { rejoin_wanted_ = true; }
    void lose_coordinator();
    void back_off(Instant now);
    void look_at_metadata(Instant now);
    void set_wanted(Instant now, std::set<std::string> topics);
    void prepare(Instant now);
    bool topics_are_known() const;
    PartitionCounts count_partitions() const;
    Target coordinator(std::int16_t version_max = INT16_MAX) const;
    std::uint64_t context(What what) { return (attempt_ << 4) | static_cast<std::uint64_t>(what); }

    void send_find(Instant now);
    void send_join(Instant now);
    void send_sync(Instant now);
    void send_heartbeat(Instant now);
    void send_leave(Instant now);
    void send_offsets(Instant now);
    void sent_or_not(Instant now, const Status& sent, bool& flag);
    void on_find(Instant now, const client::Event& event);
    void on_join(Instant now, const client::Event& event);
    void on_sync(Instant now, const client::Event& event);
    void on_heartbeat(Instant now, const client::Event& event);
    void on_offsets(Instant now, const client::Event& event);
    void on_commit(Instant now, const client::Event& event);
    void on_committed(Instant now, const client::Event& event);
    void take_assignment(Instant now, Partitions partitions);
    void judge(Instant now, wire::ErrorCode error);
    void end_offering(Status status);

    Router& router_;
    GroupConfig config_;
    client::Jitter jitter_;
    State state_ = State::idle;

    std::function<bool(std::string_view)> matches_;  // of a pattern; null: a list
    std::vector<std::string> topics_;                // subscribed now
    std::set<std::string> wanted_;                   // from Metadata: of a leader, everybody's
    std::set<TopicPartition> owned_;
    Partitions previous_;  // for sticky: what the last generation gave us
    std::int32_t previous_generation_ = -1;

    std::string member_id_;
    std::int32_t generation_ = -1;
    std::string protocol_;
    bool is_leader_ = false;
    std::vector<Subscriber> members_;  // of a leader
    PartitionCounts assigned_counts_;  // what the last assignment was made from
    OwnedBytes join_metadata_;
    std::vector<std::pair<std::string, OwnedBytes>> assignments_;

    std::int32_t coordinator_ = no_broker;
    std::uint64_t attempt_ = 1;  // answers to older ones mean nothing any more
    std::uint64_t seen_metadata_ = 0;
    bool finding_ = false, join_sent_ = false, sync_sent_ = false, beating_ = false;
    bool leave_sent_ = false, leaving_ = false, unsubscribing_ = false;
    bool rejoin_wanted_ = false;
    bool evicted_ = false;  // by max_poll_interval
    unsigned failures_ = 0;
    Instant not_before_{};  // the back-off's end
    Instant pumped_at_{};
    std::optional<Instant> blocked_since_;  // no connection to the coordinator
    Instant beat_at_ = never;
    Instant session_ends_ = never;
    Instant last_poll_{};
    Instant known_by_ = never;  // assigning: the topics that are not known by then do not exist

    std::deque<Offering> offerings_;  // one after the other, so that no commit overtakes another
    bool offering_sent_ = false;
    std::uint64_t next_request_ = 1;

    std::deque<GroupEvent> events_;
    std::size_t unhandled_ = 0;
    std::deque<GroupAnswer> answers_;
};

}  // namespace leat::cluster
