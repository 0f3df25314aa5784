// The state machine of the consumer protocol (KIP-848), as Kafka 4.3's GroupMetadataManager runs
// it.
//
// A member says what it reads and owns; it is answered when everything that the group has become
// by then is durable. So after a power cut the group is at least as far as any member knows, and a
// member that lost its answer comes with its previous epoch and is told again.
#pragma once

#include <array>
#include <deque>
#include <list>
#include <map>
#include <vector>

#include "broker/groups/consumer_fact.hpp"
#include "broker/groups/consumer_group.hpp"
#include "broker/groups/consumer_words.hpp"
#include "broker/groups/fact_queue.hpp"
#include "broker/groups/group.hpp"
#include "broker/groups/group_settings.hpp"

namespace leat::groups {

class Consumers {
public:
    /// What all groups of the room share.
    struct Shared {
        log::Log& log;
        topics::Registry& registry;
        Timers& timers;
        const GroupsConfig& config;
        const GroupSettings& settings;
        std::size_t& members;
        std::size_t& bytes;
        std::uint64_t& rebalances;
        std::uint64_t& timed_out;
    };
    explicit Consumers(Shared shared) : shared_(shared), facts_(shared.log) {}

    /// What a request is refused for whatever the group is like; error none: for nothing.
    static ConsumerAnswer check(const ConsumerHeartbeat& request, const GroupsConfig& config);

    /// The group is one of the consumer protocol and the request passed check().
    void heartbeat(Instant now, Ticket ticket, Group& group, ConsumerHeartbeat request);
    void refuse(Ticket ticket, ErrorCode error, std::string message);
    void on_timer(Instant now, Group& group, Timer& timer);
    /// A tool takes a member out (LeaveGroup): by its id, or a static one by its instance alone.
    ErrorCode take_out(Instant now, Group& group, const Leaving& who);
    /// OffsetCommit and OffsetFetch of a group with members.
    ErrorCode check_commit(const Group& group, const Identity& who,
                           const std::vector<Commit>& commits) const;
    ErrorCode check_fetch(const Group& group, std::string_view member, std::int32_t epoch) const;

    /// Before a classic group becomes one of this kind: whether `request` has a place in it then.
    /// false: it was refused.
    bool takes(Ticket ticket, const Group& group, const ConsumerHeartbeat& request);

    // -- members of the classic protocol: mixed.cpp
    /// Why a classic group with members cannot become one of this kind; empty: it can.
    std::string upgrade_problem(const Group& group) const;
    /// Its members become members of this kind of group; nobody is parked in it any more.
    void upgrade(Instant now, Group& group);
    /// Groups whose last member of the consumer protocol has gone, while classic ones are left.
    std::vector<std::string> take_downgrades() { return std::exchange(downgrades_, {}); }
    /// Such a group is a classic one again: its members stand in group.members, the counts of the
    /// room are the caller's to put right. false: that cannot be written, and it stays as it is.
    bool downgrade(Instant now, Group& group);
    /// JoinGroup of a group with members; an error is answered by the caller. fresh_id: for whoever
    /// has none, also with member_id_required.
    ErrorCode join(Instant now, Ticket ticket, Group& group, const JoinRequest& request,
                   const std::string& fresh_id);
    std::optional<JoinAnswer> poll_joined();
    SyncAnswer sync(Instant now, Group& group, const SyncRequest& request);
    ErrorCode classic_heartbeat(Instant now, Group& group, const Identity& who);

    /// An empty group changes its kind. Both are in order with all other writes.
    void begin(Instant now, Group& group);
    void end(Instant now, Group& group);
    FactQueue& facts() { return facts_; }
    const FactQueue& facts() const { return facts_; }

    /// Assignments of large groups are made in turns, and so are the answers to all who wait for
    /// one: each turn is meant to take less than half a millisecond. consumer_turns.cpp
    bool has_turns() const { return !turns_.empty(); }
    std::string take_turn();  ///< the group whose turn it is
    void turn(Instant now, const std::string& id, Group* group);

    std::optional<ConsumerAnswer> poll_answer();
    /// After the log may have finished something.
    void settle(Instant now);
    /// The group's members are gone from memory and its answers are refused; it can be loaded
    /// again.
    void drop(Group& group);

    /// What the facts say of one group.
    struct Loading {
        struct Save {
            std::uint32_t number = 0;
            std::uint16_t parts = 0;
            std::map<std::uint16_t, std::vector<std::uint8_t>> pieces;
        };
        std::optional<ConsumerGroupFact> fact;
        std::map<std::string, std::array<Save, 2>, std::less<>> members;
    };
    static Status read(Loading& loading, ByteView key, ByteView value);
    /// The group in memory becomes what its facts say. false: some of them cannot be read.
    bool load(Instant now, Group& group, const Loading& loading);
    /// Erases what an upgrade had written when it was cut, or a downgrade had not erased yet.
    void erase_facts(Instant now, const std::string& group, const Loading& loading);

private:
    struct Held {
        std::uint64_t write;
        std::string group;
        ConsumerAnswer answer;
    };
    struct HeldJoin {
        std::uint64_t write;
        std::string group;
        JoinAnswer answer;
    };

    /// What is left of a request when the group has taken in what it says.
    struct Asked {
        Ticket ticket = 0;
        std::string member;
        bool joins = false;     ///< JoinGroup, of a member of the classic protocol
        bool says_all = false;  ///< and is told all
        bool changed = false;   ///< what is on flash of the member is not what it says now
        bool subscription_changed = false;
        std::optional<std::vector<TopicPartitions>> owned = {};
        Share assigned = {};  ///< when it came
        std::int32_t group_epoch = 0;
    };

    // consumer_turns.cpp
    bool has_target(Group& group);
    void assign_some(Group& group);
    void answer_or_wait(Instant now, Group& group, ConsumerMember& member, Asked asked);
    void go_on(Instant now, Group& group, ConsumerMember& member, const Asked& asked);
    void refuse(const Asked& asked, ErrorCode error);
    void refuse_waiting(const std::string& group, ErrorCode error, ErrorCode of_joins);

    // consumer_admit.cpp
    bool has_place(Ticket ticket, const ConsumerHeartbeat& request, const ConsumerMember* member,
                   std::size_t others);
    ConsumerMember* admit(Instant now, Ticket ticket, Group& group,
                          const ConsumerHeartbeat& request, bool& changed);
    ConsumerMember* admit_static(Instant now, Ticket ticket, Group& group,
                                 const ConsumerHeartbeat& request, bool& changed);
    ConsumerMember& add(Group& group, const ConsumerHeartbeat& request);
    void replace(Instant now, Group& group, ConsumerMember& member, const std::string& id);
    bool epoch_fits(Ticket ticket, const ConsumerMember& member, const ConsumerHeartbeat& request);
    /// The group takes in what `member` says, and begins another epoch if that makes a difference.
    void hear(Instant now, Group& group, ConsumerMember& member, ConsumerHeartbeat& request,
              bool bumps, Asked& asked);
    bool update(Group& group, ConsumerMember& member, ConsumerHeartbeat& request);
    bool refresh(Instant now, Group& group);
    void leave(Instant now, Ticket ticket, Group& group, const ConsumerHeartbeat& request);
    void leave_for_a_while(Instant now, Group& group, ConsumerMember& member);
    void remove(Instant now, Group& group, ConsumerMember& member);
    void forget(Group& group, ConsumerMember& member);
    void touch(Instant now, const Group& group, ConsumerMember& member);
    void answer_when_durable(Group& group, ConsumerAnswer answer);

    // mixed.cpp
    ErrorCode find_classic(const Group& group, const Identity& who, ConsumerMember*& member) const;
    void await(Instant now, ConsumerMember& member);
    std::string assignment_of(const ConsumerMember& member) const;
    void tell_joined(Instant now, Group& group, ConsumerMember& member, Ticket ticket);

    // reconcile.cpp
    /// Waits for partitions that others still own.
    bool waits(const ConsumerGroup& group, const ConsumerMember& member) const;
    /// One step of a member towards its target. true: it changed.
    bool reconcile(Instant now, Group& group, ConsumerMember& member, bool subscription_changed,
                   const std::optional<std::vector<TopicPartitions>>& owned);

    // consumer_save.cpp
    void bump(Instant now, Group& group);
    void save_group(Instant now, Group& group);
    void save(Instant now, Group& group, ConsumerMember& member);
    void erase(Instant now, Group& group, const ConsumerMember& member);
    void erase_parts(Instant now, Group& group, const ConsumerMember& member, std::uint8_t slot,
                     std::uint16_t parts);
    void recount(ConsumerMember& member);
    bool load_member(Instant now, Group& group, const std::string& id,
                     const std::array<Loading::Save, 2>& saves);

    Shared shared_;
    FactQueue facts_;
    std::vector<Held> held_;
    std::map<std::string, std::deque<Asked>, std::less<>> waiting_;  ///< by group, in order
    std::deque<std::string> turns_;                                  ///< groups, each once
    std::vector<HeldJoin> held_joins_;
    std::vector<std::string> downgrades_;
    std::list<JoinAnswer> joined_;
    std::list<ConsumerAnswer> answers_;
};

}  // namespace leat::groups
