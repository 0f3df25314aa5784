// One group: its members, its state, its committed offsets, and the questions that need nothing
// else. What changes a group is in groups.hpp.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/groups/consumer_group.hpp"
#include "broker/groups/offset_block.hpp"
#include "broker/groups/timers.hpp"
#include "broker/groups/words.hpp"
#include "broker/topics/registry.hpp"

namespace leat::groups {

/// Kafka's states of a classic group. dead: being deleted, until that is durable.
enum class State : std::uint8_t {
    empty,
    preparing_rebalance,
    completing_rebalance,
    stable,
    dead,
};
const char* state_name(State state);  ///< as ListGroups and DescribeGroups spell it

struct Member {
    explicit Member(Group* group) : timer(group, this) {}

    std::string id;
    std::optional<std::string> instance;
    std::string client_id, client_host;
    milliseconds session_timeout{}, rebalance_timeout{};
    std::vector<Protocol> protocols;  ///< in order of preference
    std::string assignment;
    Ticket join = 0, sync = 0;  ///< parked answers; 0: none
    bool is_new = false;        ///< has not yet been answered its first join
    bool synced = false;        ///< asked for its assignment in this generation
    Instant expires{};          ///< the timer may ring earlier and is then armed again
    Timer timer;

    const std::string* metadata(std::string_view protocol) const;
    std::size_t bytes() const;  ///< about what it occupies
};

/// Was told its id with MEMBER_ID_REQUIRED and has not come back yet.
struct PendingMember {
    explicit PendingMember(Group* group) : timer(group, nullptr, this) {}
    std::string id;
    Timer timer;
};

struct Group {
    Group() : join_timer(this), sync_timer(this) {}

    std::string id;
    State state = State::empty;
    State previous = State::empty;  ///< before preparing_rebalance
    std::int32_t generation = 0;
    std::string protocol_type;        ///< empty: none yet (an offsets-only group)
    std::string protocol;             ///< chosen for this generation
    std::string leader;               ///< member id; empty: none
    std::int64_t empty_since_ms = 0;  ///< log time of the last step to empty

    std::map<std::string, std::unique_ptr<Member>, std::less<>> members;
    std::map<std::string, std::unique_ptr<PendingMember>, std::less<>> pending;
    std::map<std::string, std::string, std::less<>> static_members;  ///< instance -> member id
    std::size_t awaiting_join = 0;
    /// Protocols that all members are known to support, perhaps not all of those: so that a
    /// thousand who join do not ask a thousand each.
    std::vector<std::string> common;
    std::set<std::string, std::less<>> subscribed;  ///< topics of all members (type "consumer")
    bool subscriptions_known = false;

    Timer join_timer;  ///< preparing: the initial delay, else the rebalance timeout
    Timer sync_timer;  ///< completing: whoever has not synced then is out
    bool initial = false, member_added = false;
    milliseconds initial_left{};

    // what is on flash
    std::uint32_t save_number = 0;
    std::uint16_t chunks_saved = 0;
    bool save_wanted = false;
    std::vector<std::pair<std::uint32_t, JoinAnswer>> held;  ///< joins answered when that is saved
    std::uint32_t assigned_by_save = 0;  ///< the save that carries this generation's assignment

    /// Set: a group of the consumer protocol (KIP-848). Of all above only id, state (empty, stable,
    /// dead), protocol_type and empty_since_ms mean something then.
    std::unique_ptr<ConsumerGroup> consumer;

    std::map<std::string, TopicOffsets, std::less<>> offsets;
    log::CommitId deleted_in = 0;  ///< dead: gone when this is durable
    bool half_deleted = false;     ///< dead: the log has not taken all of it yet
    bool emptied = false;  ///< by OffsetDelete: as in Kafka it stays until the next check for age

    Member* find(std::string_view member);
    bool consumers() const { return protocol_type == "consumer"; }
    milliseconds rebalance_timeout() const;  ///< the longest of its members
    bool all_joined() const { return awaiting_join == members.size() && pending.empty(); }
    /// Whether a member with this type and these protocols may come in.
    bool supports(std::string_view type, const std::vector<Protocol>& offered);
    /// One of the members has other protocols than before, or is new.
    void protocols_changed(const Member& member);
    /// Candidates are what all members support; each votes for its first one among them.
    std::string vote() const;
    void learn_subscriptions();
    bool reads_known() const {
        return consumer != nullptr ? !consumer->walks : subscriptions_known;
    }
    bool reads(std::string_view topic) const;  ///< if that is known
    /// The member's or instance's own error: unknown_member_id, fenced_instance_id, none.
    ErrorCode check(std::string_view member, const std::optional<std::string_view>& instance);
};

}  // namespace leat::groups
