// OffsetFetch (key 9): durable positions only, and all that were committed before it was asked: a
// client may ask without waiting for its commit's answer. require_stable changes nothing: without
// transactions no position is ever unstable (KIP-447).
#include "sdk/wire/api/09_offset_fetch.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <set>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/later.hpp"

namespace leat::api {
namespace {

using Request = wire::OffsetFetchRequest;
using Response = wire::OffsetFetchResponse;
constexpr std::int16_t batched_since = 8;
constexpr std::int16_t ids_since = 10;  // topics have names before it

// One shape of the answer for the old layout and the new one.
template <class Topic, class Partition>
struct Answered {
    std::list<std::vector<Partition>> partitions;  // in place while it grows; a deque has 576 bytes
    std::vector<Topic> topics;

    std::vector<Partition>& add(std::string_view name, const wire::Uuid& id) {
        Topic& topic = topics.emplace_back();
        topic.name = name;
        if constexpr (requires { topic.topic_id; }) topic.topic_id = id;
        return partitions.emplace_back();
    }
    static void put(std::vector<Partition>& list, std::int32_t partition,
                    const groups::Fetched& from) {
        Partition& one = list.emplace_back();
        one.partition_index = partition;
        one.committed_offset = from.offset;
        one.committed_leader_epoch = from.leader_epoch;
        one.metadata = from.metadata;
    }
    void finish() {
        auto list = partitions.begin();
        for (Topic& topic : topics) topic.partitions = *list++;
    }
    template <class Asked>
    void fill(Context& context, std::string_view group, const Asked& asked, bool by_id) {
        const topics::Registry& registry = context.topics.registry;
        if (asked.is_null()) {
            std::string_view last;
            context.groups.fetch_all(group, [&](std::string_view name, std::int32_t partition,
                                                const groups::Fetched& from) {
                const topics::Topic* topic = by_id ? registry.find(name) : nullptr;
                if (by_id && topic == nullptr) return;  // has no id that could be told
                if (topics.empty() || name != last)
                    add(last = name, topic != nullptr ? wire::Uuid{topic->id} : wire::Uuid{});
                put(partitions.back(), partition, from);
            });
        } else {
            for (const auto& topic : asked) {
                std::string_view name = topic.name.view();
                wire::Uuid id;
                bool unknown = false;
                if constexpr (requires { topic.topic_id; }) {
                    id = topic.topic_id;
                    const topics::Topic* found = by_id ? registry.find(id.bytes) : nullptr;
                    unknown = by_id && found == nullptr;
                    if (found != nullptr) name = found->name;
                }
                auto& list = add(name, id);
                for (const std::int32_t partition : topic.partition_indexes) {
                    put(list, partition,
                        unknown ? groups::Fetched{} : context.groups.fetch(group, name, partition));
                    if (unknown) list.back().error_code = wire::ErrorCode::unknown_topic_id;
                }
            }
        }
        finish();
    }
};

using OldAnswer =
    Answered<Response::OffsetFetchResponseTopic, Response::OffsetFetchResponsePartition>;
using NewAnswer =
    Answered<Response::OffsetFetchResponseTopics, Response::OffsetFetchResponsePartitions>;

void answer_fetched(Context& context, Address& address, ByteView body) {
    const auto request = wire::decode_front<Request>(body, address.version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    Response response;
    if (address.version < batched_since) {
        OldAnswer old;
        old.fill(context, request->group_id.view(), request->topics, false);
        response.topics = old.topics;
        return answer(context, address, response);
    }
    std::deque<NewAnswer> answers;
    std::vector<Response::OffsetFetchResponseGroup> groups;
    std::set<std::string_view> once;  // all positions a thousand times are nobody's wish
    for (const auto& asked : request->groups) {
        if (!once.insert(asked.group_id.view()).second) continue;
        NewAnswer& one = answers.emplace_back();
        auto& group = groups.emplace_back();
        group.error_code = context.groups.check_fetch(
            asked.group_id.view(), optional_view(asked.member_id), asked.member_epoch);
        if (group.error_code == wire::ErrorCode::none)
            one.fill(context, asked.group_id.view(), asked.topics, address.version >= ids_since);
        group.group_id = asked.group_id;
        group.topics = one.topics;
    }
    response.groups = groups;
    answer(context, address, response);
}

}  // namespace

void offset_fetch(Context& context, Call call) {
    const auto request = read<Request>(context, call);
    if (!request) return;
    log::CommitId last = context.groups.last_commit(request->group_id.view());
    for (const auto& group : request->groups)
        last = std::max(last, context.groups.last_commit(group.group_id.view()));
    run_after(context, std::move(call), last, answer_fetched);
}

}  // namespace leat::api
