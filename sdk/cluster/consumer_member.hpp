// A member of a consumer group in the protocol of KIP-848 (`group.protocol=consumer`): the
// coordinator assigns, and one request (ConsumerGroupHeartbeat, key 68) joins, tells what is
// subscribed and owned, is told what to own, and leaves. Errors are answered as Java's
// ConsumerMembershipManager (4.3) answers them, but for UNRELEASED_INSTANCE_ID (see judge).
//
// What the coordinator wants a member to own is reached step by step, and only what moves stops:
//
//   target -> ids to names (Metadata, KIP-516) -> revoked (what went elsewhere) -> assigned (what
//   is new) -> all commits answered -> acknowledged: the next heartbeat tells what is owned, and
//   only then its next owner gets what was revoked
//
// A member names itself, and keeps that name (KIP-1082). A static one (KIP-345) leaves with epoch
// -2: its partitions wait for it until its session ends. FENCED_MEMBER_EPOCH and UNKNOWN_MEMBER_ID
// mean that everything is somebody else's: lost, then it joins again with epoch 0.
//
// A heartbeat whose answer was lost may have been carried out. The next one then tells everything
// again, and the coordinator answers with everything.
#pragma once

#include "sdk/cluster/group.hpp"

namespace leat::cluster {

class ConsumerMember final : public Group {
public:
    /// config.member_id must not be empty.
    ConsumerMember(Router& router, GroupConfig config);

    // ask
    enum class State : std::uint8_t {
        idle,
        joining,  ///< a heartbeat with epoch 0 is to be answered
        member,
        departing,  ///< unsubscribed; what was owned is being given up
        failed
    };
    State state() const { return state_; }
    /// What is owned is what the coordinator wants, and it knows.
    bool is_settled() const { return state_ == State::member && !target_ && !ack_due_; }
    bool has_news() const override;

    // want
    void subscribe(Instant now, std::vector<std::string> topics) override;
    void subscribe_matching(Instant now, std::function<bool(std::string_view)> matches) override;
    Status subscribe_pattern(Instant now, std::string pattern) override;
    void unsubscribe(Instant now) override;
    void leave(Instant now) override;
    void on_poll(Instant now) override;
    void handled(Instant now) override;

    // Requester, for the Router
    void pump(Instant now, Router& router) override;
    void on_answer(Instant now, Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

private:
    using Place = std::pair<wire::Uuid, std::int32_t>;
    using Wanted = std::map<wire::Uuid, std::vector<std::int32_t>>;

    std::int64_t term() const override { return generation_ < 0 ? -1 : joins_; }
    void judge(Instant now, wire::ErrorCode error) override;
    void fail_for_good(wire::ErrorCode error) override;
    bool takes_part() const override { return state_ == State::joining || state_ == State::member; }
    bool knows_epochs() const override { return true; }

    void change_subscription(Instant now);
    void look_at_metadata(Instant now);
    void forget_membership();
    void end_membership(Instant now);
    void join_again();
    void evict(Instant now);
    void reconcile(Instant now);
    std::map<wire::Uuid, std::string> names_of(const Wanted& target) const;
    bool is_acknowledgeable() const {
        return ack_due_ && unhandled_ == 0 && !has_unanswered_commit();
    }
    /// The coordinator hears of us: also while the program commits what it gives up at the end.
    bool lives() const { return takes_part() || (state_ == State::departing && generation_ >= 0); }
    bool is_beat_due(Instant now) const;

    void send_resolve(Instant now, const std::vector<wire::Uuid>& ids);
    void on_resolve(Instant now, const client::Event& event);
    void send_heartbeat(Instant now);
    void send_leave(Instant now);
    void on_heartbeat(Instant now, const client::Event& event);

    State state_ = State::idle;
    std::int64_t joins_ = 0;        // memberships so far
    std::optional<Wanted> target_;  // what the coordinator wants, and is not reached yet
    std::map<std::string, wire::Uuid> owned_ids_;  // of the topics in owned_
    std::set<Place> held_;  // owned_, when nothing is being given up or taken: acknowledged
    bool ack_due_ = false;
    bool is_news_to_program_ = false;  // joined, and `assigned` was not told since
    milliseconds interval_{3'000};     // as the coordinator told
    Instant resolve_at_{};             // not earlier
    bool resolving_ = false;
    std::map<wire::Uuid, std::string> resolved_;  // asked for by id
    std::optional<Instant> unreleased_since_;     // our instance id is another member's

    // What the coordinator has heard, and what the heartbeat says that waits for its answer.
    struct Told {
        std::vector<std::string> topics;
        std::string pattern;
        bool acknowledges = false;
        friend bool operator==(const Told&, const Told&) = default;
    };
    Told told_, sent_;
    bool tell_all_ = true;
    bool has_had_pattern_ = false;
};

}  // namespace leat::cluster
