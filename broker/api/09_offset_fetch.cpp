// OffsetFetch (key 9): durable positions only. require_stable changes nothing: without transactions
// no position is ever unstable (KIP-447).
#include "sdk/wire/api/09_offset_fetch.hpp"

#include <deque>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using Response = wire::OffsetFetchResponse;

// One shape of the answer for the old layout and the new one.
template <class Topic, class Partition>
struct Answered {
    std::deque<std::vector<Partition>> partitions;  // stays in place while it grows
    std::vector<Topic> topics;

    std::vector<Partition>& add(std::string_view name) {
        topics.emplace_back().name = name;
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
        for (std::size_t i = 0; i < topics.size(); ++i) topics[i].partitions = partitions[i];
    }
    template <class Asked>
    void fill(Context& context, std::string_view group, const Asked& asked) {
        if (asked.is_null()) {
            std::string_view last;
            context.groups.fetch_all(group, [&](std::string_view topic, std::int32_t partition,
                                                const groups::Fetched& from) {
                if (topics.empty() || topic != last) add(last = topic);
                put(partitions.back(), partition, from);
            });
        } else {
            for (const auto& topic : asked) {
                auto& list = add(topic.name.view());
                for (const std::int32_t partition : topic.partition_indexes)
                    put(list, partition,
                        context.groups.fetch(group, topic.name.view(), partition));
            }
        }
        finish();
    }
};

using OldAnswer =
    Answered<Response::OffsetFetchResponseTopic, Response::OffsetFetchResponsePartition>;
using NewAnswer =
    Answered<Response::OffsetFetchResponseTopics, Response::OffsetFetchResponsePartitions>;

}  // namespace

void offset_fetch(Context& context, Call call) {
    const auto request = wire::decode_front<wire::OffsetFetchRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    Response response;
    if (call.version < 8) {
        OldAnswer old;
        old.fill(context, request->group_id.view(), request->topics);
        response.topics = old.topics;
        return answer(context, call, response);
    }
    std::deque<NewAnswer> answers;
    std::vector<Response::OffsetFetchResponseGroup> groups;
    for (const auto& asked : request->groups) {
        NewAnswer& one = answers.emplace_back();
        one.fill(context, asked.group_id.view(), asked.topics);
        auto& group = groups.emplace_back();
        group.group_id = asked.group_id;
        group.topics = one.topics;
    }
    response.groups = groups;
    answer(context, call, response);
}

}  // namespace leat::api
