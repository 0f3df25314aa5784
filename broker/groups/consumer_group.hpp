// A group of the consumer protocol (KIP-848): the broker assigns, and each member goes from what it
// has to what it shall have at its own pace. What changes it is in consumers.hpp.
//
//   group epoch       rises whenever the target has to be made anew
//   assignment epoch  the group epoch of the target there is
//   member epoch      the assignment epoch that the member has reached
//
// A partition has at most one owner at any time: it is owned from the answer that assigns it until
// the member no longer names it, and only then can it be assigned again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/groups/pattern.hpp"
#include "broker/groups/timers.hpp"
#include "broker/groups/words.hpp"
#include "broker/topics/registry.hpp"

namespace leat::groups {

class TargetAssignment;

struct PartitionEpoch {
    std::int32_t partition = 0;
    std::int32_t epoch = 0;  ///< the member epoch it was assigned in (KIP-1251)
    friend bool operator==(const PartitionEpoch&, const PartitionEpoch&) = default;
};
/// Partitions by topic; of each topic at least one, rising.
using Share = std::map<topics::TopicId, std::vector<PartitionEpoch>>;
const PartitionEpoch* find_in(const Share& share, const topics::TopicId& topic,
                              std::int32_t partition);

/// Kafka's states of a member.
enum class Step : std::uint8_t {
    stable,      ///< has reached the assignment epoch
    unrevoked,   ///< still owns what it shall give up; stays in its epoch until then
    unreleased,  ///< waits for partitions that others still own
};

/// A pattern takes so many steps over topics at a time, milliseconds; the rest comes with later
/// heartbeats, and until then the group reads what it read before.
constexpr std::uint64_t match_steps_max = 2'000'000;

/// What members read. Members that say the same share one.
struct Subscription {
    std::vector<std::string> topics;  ///< rising
    std::string pattern;              ///< empty: none
    Pattern compiled;
    std::vector<std::string> matched;  ///< names of existing topics, rising
    // The walk over all topics that is under way, a part at a time.
    bool walks = false;
    std::vector<std::string> found;
    std::string walked_to;
    std::size_t members = 0;
    std::size_t counted = 0;  ///< bytes
    std::uint64_t assignment = 0;  ///< the one that `place` belongs to
    std::uint32_t place = 0;

    bool has(std::string_view topic) const;
};

struct TopicReaders {
    std::uint32_t count = 0;       ///< of subscriptions
    std::uint32_t place = 0;       ///< as a Subscription's
    std::uint64_t assignment = 0;
};

/// What a member has that speaks the classic protocol in a group of this one (mixed.cpp).
struct ClassicSide {
    milliseconds session_timeout{};
    std::vector<Protocol> protocols;  ///< in order of preference; it is told the first one
    friend bool operator==(const ClassicSide&, const ClassicSide&) = default;
};

struct ConsumerMember {
    explicit ConsumerMember(Group* group)
        : session(group, nullptr, nullptr, this),
          rebalance(group, nullptr, nullptr, this),
          overdue(group, nullptr, nullptr, this) {}

    std::string id;
    std::optional<std::string> instance, rack;
    std::string client_id, client_host;
    milliseconds rebalance_timeout{};
    std::optional<std::string> assignor;  ///< its vote
    Subscription* subscription = nullptr;
    std::string subscription_key;

    std::int32_t epoch = 0, previous_epoch = 0;
    Step step = Step::stable;
    Share assigned, revoking;  ///< both are owned
    Share target;              ///< of the assignment epoch; its epochs mean nothing

    Instant expires{};  ///< the session; its timer may ring earlier and is then armed again
    Timer session;
    Timer rebalance;                   ///< unrevoked: then it is out
    std::int32_t rebalance_epoch = 0;  ///< ... if it still has this epoch
    std::optional<ClassicSide> classic;
    Timer overdue;  ///< classic: to ask for what it was told, or to join again; then it is out

    // what is on flash
    std::uint32_t save_number = 0;
    std::uint16_t saved_parts = 0;
    std::uint8_t saved_slot = 0;
    std::size_t counted = 0;  ///< bytes

    bool away() const { return epoch == -2; }  ///< a static member that will be back
    /// Not of one whose join waits for its assignment: it has no epoch yet.
    bool is_at(std::int32_t said) const { return said == epoch && epoch != 0; }
    std::size_t bytes() const;
};

struct ConsumerGroup {
    ConsumerGroup();
    ~ConsumerGroup();  // with all that hangs on it, once in the program

    std::int32_t epoch = 0, assignment_epoch = 0;
    std::uint64_t hash = 0;  ///< of the topics it reads: ids and partition counts
    bool unsettled = false;  ///< loaded in the middle of a rebalance: the target is not known

    std::map<std::string, std::unique_ptr<ConsumerMember>, std::less<>> members;
    std::map<std::string, ConsumerMember*, std::less<>> statics;  ///< by instance id
    std::map<std::string, Subscription, std::less<>> subscriptions;
    std::map<std::string, TopicReaders, std::less<>> readers;  ///< by topic
    std::map<topics::TopicId, std::vector<const ConsumerMember*>> owners;  ///< by partition

    std::uint64_t registry_seen = 0;  ///< topics::Registry::changes()
    Instant refresh_due{};            ///< patterns are not matched anew before
    bool walks = false;               ///< a pattern has not seen all topics yet
    bool rehash = false;              ///< readers changed
    bool saved = false;               ///< its fact is on flash or on the way
    std::uint64_t last_write = 0;     ///< an answer waits until all up to this is durable

    std::uint64_t assignments = 0;         ///< so many were begun
    std::unique_ptr<TargetAssignment> assigning;  ///< the one that is made: assignors.hpp

    ConsumerMember* find(std::string_view member) const;
    /// The assignor that most members want. `uniform` if nobody cares.
    std::string_view assignor() const;
    const char* state() const;  ///< as Kafka spells it

    /// `text` compiles. The member leaves the subscription that it had.
    void subscribe(ConsumerMember& member, std::vector<std::string> topics,
                   const std::string& pattern, const topics::Registry& registry,
                   std::uint64_t steps_max = match_steps_max);
    void unsubscribe(ConsumerMember& member);
    /// Topics came or went, or some were not looked at yet (`walks`): patterns are matched, some at
    /// a time. Returns what it cost, in steps.
    std::uint64_t match_some(const topics::Registry& registry);
    void take_found(Subscription& one);
    std::uint64_t topics_hash(const topics::Registry& registry) const;

    const ConsumerMember* owner(const topics::TopicId& topic, std::int32_t partition) const;
    void claim(const ConsumerMember& member);    ///< what it owns
    void release(const ConsumerMember& member);  ///< ... must be what was claimed
};

}  // namespace leat::groups
