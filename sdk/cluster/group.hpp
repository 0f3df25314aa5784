// What a member of a consumer group is to the program, whichever of Kafka's two group protocols it
// speaks: `GroupMember` the classic one, `ConsumerMember` that of KIP-848. Also what both do alike:
// find the coordinator, commit and ask for committed offsets.
//
// Sans-IO, on a Router. What the program must take part in comes as events, in order, and nothing
// goes on until each is `handled`:
//
//   revoked   give these up: commit what is to be committed, then handled()
//   lost      these are somebody else's already: forget them, commit nothing
//   assigned  start to read these, from their committed offsets
//
// A program that does not poll for max_poll_interval is taken out of the group: its partitions
// shall not stand still.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sdk/cluster/assignor.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::cluster {

/// Kafka's `group.protocol`.
enum class GroupProtocol : std::uint8_t {
    classic,   ///< JoinGroup and SyncGroup: the leading member assigns
    consumer,  ///< ConsumerGroupHeartbeat (KIP-848): the coordinator assigns
};

struct GroupConfig {
    std::string group_id;
    std::optional<std::string> instance_id;  ///< a static member (KIP-345): a restart moves nothing
    /// classic: how long the coordinator waits for a sign of life. consumer: that is the broker's
    /// setting; here it is how long a static member that starts again waits for its predecessor's
    /// session to end (UNRELEASED_INSTANCE_ID).
    milliseconds session_timeout{45'000};
    milliseconds heartbeat_interval{3'000};   ///< classic only; else the coordinator tells it
    milliseconds max_poll_interval{300'000};  ///< also how long a rebalance waits for this member
    milliseconds request_timeout{30'000};
    std::vector<Assignor> assignors{Assignor::range, Assignor::cooperative_sticky};  ///< classic
    std::string remote_assignor{};  ///< consumer: "uniform", "range"; empty: as the broker likes
    /// consumer: this member's own name, another one in each process and object, for its whole life
    /// (KIP-1082); not empty.
    std::string member_id{};
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
    Offsets offsets;  ///< of a question; those that were refused are left out
};

class Group : public Requester {
public:
    virtual ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // ask
    const std::string& member_id() const { return member_id_; }
    /// Of the classic protocol, or the member's epoch. -1: no member now.
    std::int32_t generation() const { return generation_; }
    const std::set<TopicPartition>& owned() const { return owned_; }
    const GroupConfig& config() const { return config_; }
    bool has_left() const { return !leaving_; }
    bool has_unanswered_commit() const;
    bool is_subscribed() const { return matches_ || !topics_.empty() || !pattern_.empty(); }
    /// An event or an answer waits, or something waits for on_poll.
    virtual bool has_news() const = 0;

    // want
    /// Takes part from the next on_poll() on. Replaces an earlier subscription.
    virtual void subscribe(Instant now, std::vector<std::string> topics) = 0;
    /// Every topic that is not internal and for which `matches` says so, also those to come.
    virtual void subscribe_matching(Instant now, std::function<bool(std::string_view)> matches) = 0;
    /// Every topic whose whole name the coordinator finds to match (RE2's syntax). Of the consumer
    /// protocol. fails: unsupported (the classic one)
    virtual Status subscribe_pattern(Instant now, std::string pattern);
    /// Leaves. What is owned is revoked first (an event).
    virtual void unsubscribe(Instant now) = 0;
    /// Partitions are not given up by an event: for the end of a program.
    virtual void leave(Instant now) = 0;
    virtual void on_poll(Instant now) = 0;
    virtual void handled(Instant now) = 0;
    /// Commits as this member, or, without a subscription, as one from outside the group.
    /// Subscribed and put out (or not in yet) it is refused with ILLEGAL_GENERATION and nothing is
    /// sent: from outside it could overwrite what the partitions' new owners committed.
    GroupRequestId commit(Instant now, Offsets offsets, milliseconds timeout);
    GroupRequestId fetch_committed(Instant now, Partitions partitions, milliseconds timeout);

    // drain
    std::optional<GroupEvent> poll_event();
    std::optional<GroupAnswer> poll_answer();

protected:
    enum class What : std::uint8_t { find, join, sync, heartbeat, leave, offsets, resolve };
    struct Offering {
        GroupAnswer answer;
        bool is_commit = false;
        Instant deadline{};
        Offsets offsets;
        Partitions partitions;
        std::int64_t term = -1;
        std::map<wire::Uuid, std::string> names;  // of the topics that were spoken of by id
    };

    Group(Router& router, GroupConfig config);

    /// What a commit belongs to: it is refused, and not sent, when another term has begun. -1: no
    /// member.
    virtual std::int64_t term() const = 0;
    /// What an error of any group request means for the membership.
    virtual void judge(Instant now, wire::ErrorCode error) = 0;
    virtual void fail_for_good(wire::ErrorCode error) = 0;
    virtual bool takes_part() const = 0;
    virtual bool knows_epochs()
        const = 0;  ///< offset requests speak of member epochs and topic ids

    void tell(GroupEvent::Kind kind, Partitions partitions);
    void lose_all();
    void lose_coordinator();
    /// Whether `error` says that another broker is the coordinator now, or none yet: it is looked
    /// for after a back-off.
    bool loses_coordinator(Instant now, wire::ErrorCode error);
    void back_off(Instant now);
    void set_wanted(Instant now, std::set<std::string> topics);
    bool match_topics();
    void watch_time(Instant now);
    bool keep_coordinator(Instant now, bool needed);
    Instant due(Instant at) const { return at > pumped_at_ ? at : never; }
    Instant shared_deadline() const;
    Target coordinator(std::int16_t version_max = INT16_MAX) const;
    std::uint64_t context(What what) { return (attempt_ << 4) | static_cast<std::uint64_t>(what); }
    void sent_or_not(Instant now, const Status& sent, bool& flag);
    void send_find(Instant now);
    void on_find(Instant now, const client::Event& event);
    void send_offsets(Instant now);
    Status send_commit(Instant now, Offering& offering, milliseconds timeout);
    Status send_question(Instant now, Offering& offering, milliseconds timeout);
    bool name_ids(Offering& offering, const std::set<std::string>& topics) const;
    void on_offsets(Instant now, const client::Event& event);
    void on_commit(Instant now, const client::Event& event);
    void on_committed(Instant now, const client::Event& event);
    void end_offering(Status status);

    Router& router_;
    GroupConfig config_;
    client::Jitter jitter_;

    std::function<bool(std::string_view)> matches_;  // of a pattern on our side; null: a list
    std::string pattern_;                            // of one on the coordinator's side
    std::vector<std::string> topics_;                // subscribed now, in order
    std::set<std::string> wanted_;                   // from Metadata: of a leader, everybody's
    std::set<TopicPartition> owned_;
    std::string member_id_;
    std::int32_t generation_ = -1;

    std::int32_t coordinator_ = no_broker;
    std::uint64_t attempt_ = 1;  // answers to older ones mean nothing any more
    std::uint64_t seen_metadata_ = 0;
    bool finding_ = false, beating_ = false;
    bool leave_sent_ = false, leaving_ = false, unsubscribing_ = false;
    unsigned failures_ = 0;
    Instant not_before_{};  // the back-off's end
    Instant pumped_at_{};
    std::optional<Instant> blocked_since_;  // no connection to the coordinator
    Instant beat_at_ = never;
    Instant last_poll_{};

    std::deque<Offering> offerings_;  // one after the other, so that no commit overtakes another
    bool offering_sent_ = false;
    std::uint64_t next_request_ = 1;

    std::deque<GroupEvent> events_;
    std::size_t unhandled_ = 0;
    std::deque<GroupAnswer> answers_;
};

/// The one that the setting asks for. `router` outlives it.
std::unique_ptr<Group> make_group(Router& router, GroupProtocol protocol, GroupConfig config);

}  // namespace leat::cluster
