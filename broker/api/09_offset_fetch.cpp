// OffsetFetch (key 9): durable positions only, and all that were committed before it was asked: a
// client may ask without waiting for its commit's answer. require_stable changes nothing: without
// transactions no position is ever unstable (KIP-447).
#include "sdk/wire/api/09_offset_fetch.hpp"

#include <algorithm>
#include <list>
#include <memory>
#include <set>

#include "broker/api/gathered.hpp"
#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using Request = wire::OffsetFetchRequest;
using Response = wire::OffsetFetchResponse;
constexpr std::int16_t batched_since = 8;
constexpr std::int16_t ids_since = 10;  // topics have names before it

/// What is asked of one group, topic by topic, in the old layout or the new one.
template <class Asked, class Topic, class Partition>
class Positions {
public:
    Positions() = default;
    explicit Positions(const wire::Array<Asked>& asked)
        : all_(asked.is_null()), at_(asked.begin()) {}

    /// false: there are no more. Views `partitions`, and the group as it is now.
    bool next(Context& context, std::string_view group, bool by_id, Topic& topic,
              std::vector<Partition>& partitions) {
        partitions.clear();
        if (!(all_ ? any(context, group, by_id, topic, partitions)
                   : asked(context, group, by_id, topic, partitions)))
            return false;
        topic.partitions = partitions;
        return true;
    }

private:
    static void put(std::vector<Partition>& list, std::int32_t partition,
                    const groups::Fetched& from) {
        Partition& one = list.emplace_back();
        one.partition_index = partition;
        one.committed_offset = from.offset;
        one.committed_leader_epoch = from.leader_epoch;
        one.metadata = from.metadata;
    }
    bool any(Context& context, std::string_view group, bool by_id, Topic& topic,
             std::vector<Partition>& partitions) {
        std::string_view name;
        while (partitions.empty()) {
            name = context.groups.fetch_next(
                group, last_, [&](std::int32_t partition, const groups::Fetched& from) {
                    put(partitions, partition, from);
                });
            if (name.empty()) return false;
            last_ = name;
        }
        topic.name = name;
        if constexpr (requires { topic.topic_id; })
            if (by_id) topic.topic_id = {context.topics.registry.find(name)->id};
        return true;
    }
    bool asked(Context& context, std::string_view group, bool by_id, Topic& topic,
               std::vector<Partition>& partitions) {
        if (at_ == std::default_sentinel) return false;
        const auto& asked = *at_;
        std::string_view name = asked.name.view();
        bool unknown = false;
        if constexpr (requires { topic.topic_id; }) {
            topic.topic_id = asked.topic_id;
            const topics::Topic* found =
                by_id ? context.topics.registry.find(asked.topic_id.bytes) : nullptr;
            unknown = by_id && found == nullptr;
            if (found != nullptr) name = found->name;
        }
        topic.name = name;
        for (const std::int32_t partition : asked.partition_indexes) {
            put(partitions, partition,
                unknown ? groups::Fetched{} : context.groups.fetch(group, name, partition));
            if (unknown) partitions.back().error_code = wire::ErrorCode::unknown_topic_id;
        }
        ++at_;
        return true;
    }

    bool all_ = false;
    std::string last_;
    typename wire::Array<Asked>::Iterator at_;
};

using OldPositions =
    Positions<Request::OffsetFetchRequestTopic, Response::OffsetFetchResponseTopic,
              Response::OffsetFetchResponsePartition>;
using NewTopic = Response::OffsetFetchResponseTopics;
using NewPartition = Response::OffsetFetchResponsePartitions;
using NewPositions = Positions<Request::OffsetFetchRequestTopics, NewTopic, NewPartition>;
using NewGroup = Response::OffsetFetchResponseGroup;

/// Of one group a topic is a part, of several a whole group.
class Fetching final : public SlicedRequest<Request> {
public:
    void begin() {
        old_ = OldPositions(request.topics);
        at_ = request.groups.begin();
        one_group_ = address.version >= batched_since && request.groups.size() == 1;
        per_turn = address.version < batched_since || one_group_ ? 64 : 1;
        if (one_group_) new_ = NewPositions((*at_).topics);
    }
    Step step(Context& context, log::CommitId&) override {
        if (!(address.version < batched_since ? old_topic(context)
              : one_group_                    ? new_topic(context)
                                              : whole_group(context)) ||
            !gathered_.may_grow(context, address.reply, body_.bytes(), answer_bytes_max))
            return Step::end;
        return Step::done;
    }
    void finish(Context& context, bool) override {
        gathered_.release();
        if (!address.reply.alive()) return;
        Response none;
        NewGroup group;
        if (one_group_) {
            group = head(context);
            none.groups = std::span<const NewGroup>(&group, 1);
        }
        if (body_.count() == 0) return answer(context, address, none);
        none.throttle_time_ms = throttle_time_ms(context, address.reply);
        body_.send(context, any_response(none, address.version), Response::versions,
                   address.correlation_id, address.reply);
    }

private:
    void add(const Response& none, const Response& one) {
        body_.add(any_response(none, address.version), any_response(one, address.version));
    }
    bool old_topic(Context& context) {
        Response::OffsetFetchResponseTopic topic;
        std::vector<Response::OffsetFetchResponsePartition> partitions;
        if (!old_.next(context, request.group_id.view(), false, topic, partitions)) return false;
        Response one;
        one.topics = std::span<const Response::OffsetFetchResponseTopic>(&topic, 1);
        add({}, one);
        return true;
    }
    bool by_id() const { return address.version >= ids_since; }
    /// Without its topics.
    NewGroup head(Context& context) {
        const auto& asked = *at_;
        NewGroup group;
        group.group_id = asked.group_id;
        if (!error_)
            error_ = context.groups.check_fetch(
                asked.group_id.view(), optional_view(asked.member_id), asked.member_epoch);
        group.error_code = *error_;
        return group;
    }
    bool new_topic(Context& context) {
        const NewGroup empty = head(context);
        NewGroup group = empty;
        NewTopic topic;
        std::vector<NewPartition> partitions;
        if (group.error_code != wire::ErrorCode::none ||
            !new_.next(context, group.group_id.view(), by_id(), topic, partitions))
            return false;
        group.topics = std::span<const NewTopic>(&topic, 1);
        Response none, one;
        none.groups = std::span<const NewGroup>(&empty, 1);
        one.groups = std::span<const NewGroup>(&group, 1);
        add(none, one);
        return true;
    }
    bool whole_group(Context& context) {
        if (at_ == request.groups.end()) return false;
        const auto& asked = *at_;
        // All positions a thousand times are nobody's wish.
        if (once_.insert(asked.group_id.view()).second) {
            NewGroup group = head(context);
            NewPositions from(asked.topics);
            std::list<std::vector<NewPartition>> partitions;  // in place while it grows
            std::vector<NewTopic> topics;
            NewTopic topic;
            while (group.error_code == wire::ErrorCode::none &&
                   from.next(context, group.group_id.view(), by_id(), topic,
                             partitions.emplace_back()))
                topics.push_back(topic);
            group.topics = topics;
            Response one;
            one.groups = std::span<const NewGroup>(&group, 1);
            add({}, one);
        }
        ++at_;
        error_.reset();
        return true;
    }

    bool one_group_ = false;
    OldPositions old_;
    NewPositions new_;
    wire::Array<Request::OffsetFetchRequestGroup>::Iterator at_;
    std::optional<wire::ErrorCode> error_;  ///< of the group at `at_`, as it was first
    std::set<std::string_view> once_;
    LongBody body_;
    Gathered gathered_;
};

}  // namespace

void offset_fetch(Context& context, Call call) {
    auto fetching = std::make_shared<Fetching>();
    if (!fetching->keep(context, call)) return;
    const Request& request = fetching->request;
    log::CommitId last = context.groups.last_commit(request.group_id.view());
    for (const auto& group : request.groups)
        last = std::max(last, context.groups.last_commit(group.group_id.view()));
    fetching->begin();
    run_slices_after(context, last, std::move(fetching));
}

}  // namespace leat::api
