// A member of a consumer group in the classic protocol: finds the coordinator, joins, assigns when
// it leads, syncs, sends heartbeats, commits, leaves. Errors are answered as Java's
// ConsumerCoordinator (4.3) answers them.
//
// Eager assignors: revoked (all) -> JoinGroup -> SyncGroup -> assigned (all). Cooperative ones:
// JoinGroup -> SyncGroup -> revoked (what went elsewhere) -> assigned (what is new), and once more
// if something was revoked (KIP-429). A configured list is eager if one of its assignors is.
//
// A rebalance begins at on_poll() only.
#pragma once

#include "sdk/cluster/group.hpp"

namespace leat::cluster {

class GroupMember final : public Group {
public:
    GroupMember(Router& router, GroupConfig config);

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
    bool is_leader() const { return is_leader_; }
    bool has_news() const override {
        return !events_.empty() || !answers_.empty() ||
               (rejoin_wanted_ && unhandled_ == 0 &&
                (state_ == State::stable || (state_ == State::idle && !matches_)));
    }

    // want
    void subscribe(Instant now, std::vector<std::string> topics) override;
    void subscribe_matching(Instant now, std::function<bool(std::string_view)> matches) override;
    void unsubscribe(Instant now) override;
    void leave(Instant now) override;  ///< static members stay
    void on_poll(Instant now) override;
    void handled(Instant now) override;

    // Requester, for the Router
    void pump(Instant now, Router& router) override;
    void on_answer(Instant now, Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

private:
    std::int64_t term() const override { return generation_; }
    void judge(Instant now, wire::ErrorCode error) override;
    void fail_for_good(wire::ErrorCode error) override;
    bool takes_part() const override { return state_ != State::idle && state_ != State::failed; }
    bool knows_epochs() const override { return false; }

    bool is_cooperative_group() const;
    bool is_member() const { return generation_ >= 0 && !member_id_.empty(); }
    void depart(Instant now);
    void forget_membership();
    void want_rejoin() { rejoin_wanted_ = true; }
    void look_at_metadata(Instant now);
    void prepare(Instant now);
    bool topics_are_known() const;
    PartitionCounts count_partitions() const;

    void send_join(Instant now);
    void send_sync(Instant now);
    void send_heartbeat(Instant now);
    void send_leave(Instant now);
    void on_join(Instant now, const client::Event& event);
    void on_sync(Instant now, const client::Event& event);
    void on_heartbeat(Instant now, const client::Event& event);
    void take_assignment(Instant now, Partitions partitions);

    State state_ = State::idle;
    Partitions previous_;  // for sticky: what the last generation gave us
    std::int32_t previous_generation_ = -1;
    std::string protocol_;
    bool is_leader_ = false;
    std::vector<Subscriber> members_;  // of a leader
    PartitionCounts assigned_counts_;  // what the last assignment was made from
    std::vector<std::pair<std::string, OwnedBytes>> assignments_;
    bool join_sent_ = false, sync_sent_ = false;
    bool rejoin_wanted_ = false;
    Instant session_ends_ = never;
    Instant known_by_ = never;  // assigning: the topics that are not known by then do not exist
};

}  // namespace leat::cluster
