// Who shall have which partition: the two assignors that Kafka's broker has (KIP-848), in turns.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/groups/consumer_group.hpp"
#include "broker/groups/tournament.hpp"

namespace leat::groups {

inline constexpr std::string_view assignor_uniform = "uniform", assignor_range = "range";

/// The targets of all members for one epoch of their group, by the assignor that most of them want.
/// A thousand members with thousands of partitions are a millisecond, so it is made some at a time.
/// In between members come, change and go: who comes may have no part in it, who goes loses it, and
/// with each of them a new epoch has begun, for which there will be another one.
///
/// range    each topic in runs of partitions by member, so that topics of equal size lie alike;
///          static members by instance id first: who comes back finds what it had
/// uniform  as even as the subscriptions allow, starting from the targets before: few moves
class TargetAssignment {
public:
    explicit TargetAssignment(ConsumerGroup& group);

    /// So many steps more, each some ten nanoseconds. true: it is done.
    bool go_on(const topics::Registry& registry, std::uint32_t steps);
    /// Once, when it is done: the targets become what it has found. Returns whose are others.
    std::vector<ConsumerMember*> take();

    void forget(const ConsumerMember& member);
    using SubscriptionNode = std::map<std::string, Subscription, std::less<>>::node_type;
    /// Nobody has this subscription any more; this may still look at it.
    void keep(SubscriptionNode gone) { gone_.push_back(std::move(gone)); }

private:
    enum class Phase : std::uint8_t {
        statics,
        members,
        topics,
        audiences,
        range,
        keep,
        hand_out,
        balance,
        targets,
        done
    };
    /// Of a member: what it holds of the topics with one audience, the newest of them first.
    struct Held {
        std::uint32_t audience;
        std::int32_t newest;  // a partition
    };
    struct Reader {
        ConsumerMember* is;  // null: gone
        std::uint32_t subscription, place;  // place: among those with the same subscription
        std::uint32_t load = 0;
        bool moved = false, settled = false;  // moved: its target is perhaps another one
        std::vector<Held> held = {};          // by audience
    };
    struct Said {  // a subscription
        const Subscription* is;
        std::vector<std::uint32_t> readers = {};
        Tournament idle = {};  // by load
    };
    struct Topic {
        topics::TopicId id;
        std::size_t first, count;  // partitions
        std::uint32_t audience = 0;
    };
    /// Who reads a topic: all that read those of the audience before, and one subscription more.
    struct Audience {
        std::uint32_t before, subscription;
        std::size_t readers;
        std::uint32_t next = 0, next_subscription = UINT32_MAX;  // with the one that is looked at
        std::vector<std::uint32_t> runs = {};                    // range: all of them, in order
    };

    bool phase(const topics::Registry& registry);
    void next_phase();
    template <class Map, class Visit>
    bool walk(Map& map, const Visit& visit);
    void add(ConsumerMember& member);
    void add(const topics::Topic* topic, TopicReaders& place);
    bool find_audiences();
    std::uint32_t with(std::uint32_t audience, std::uint32_t subscription);
    bool range();
    void list(Audience& audience);
    bool find_targets();
    void give(std::uint32_t audience, std::int32_t partition, std::uint32_t reader);
    void spend(std::size_t steps) { left_ -= static_cast<std::int64_t>(steps); }

    // uniform.cpp
    bool keep(const topics::Registry& registry);
    void keep(Reader& reader, std::uint32_t number, const topics::Registry& registry);
    void order();
    bool hand_out();
    void begin_round();
    bool balance();
    bool move_one(std::uint32_t from);
    std::uint32_t idlest(std::uint32_t audience);
    void set_load(std::uint32_t reader, std::uint32_t load);

    ConsumerGroup& group_;
    const std::int32_t epoch_;
    const std::uint64_t number_;
    Phase phase_ = Phase::statics;
    std::int64_t left_ = 0;
    std::size_t range_votes_ = 0, uniform_votes_ = 0;

    std::string after_;  // where a walk goes on
    bool walks_ = false;
    std::size_t at_ = 0, name_ = 0, partition_ = 0;
    int round_ = 0;
    bool any_moved_ = false;

    std::vector<Reader> readers_;  // static members by instance first, then by id
    std::vector<Said> said_;
    std::vector<Topic> topics_;  // by name
    std::vector<std::int32_t> owners_, before_;  // by partition; before: of the same Held
    std::vector<Audience> audiences_;            // 0: nobody
    std::vector<std::uint32_t> order_;           // of topics
    Tournament fullest_, leanest_;
    std::vector<std::pair<std::uint32_t, Share>> next_;
    std::vector<SubscriptionNode> gone_;
};

}  // namespace leat::groups
