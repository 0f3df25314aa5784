// OffsetCommit (key 8): acknowledged when durable; an unchanged position at once.
#include "sdk/wire/api/08_offset_commit.hpp"

#include <algorithm>

#include "broker/api/errors_told.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetCommitRequest;
using Response = wire::OffsetCommitResponse;
constexpr std::int16_t epochs_since = 9;  // of members of consumer groups (KIP-848)
constexpr std::int16_t ids_since = 10;  // topics have names before it

constexpr std::size_t positions_per_turn = 128;  // of 4 us, where each is of another topic

/// A commit of thousands of positions, some at a time.
struct Asked {
    struct Place {
        wire::Array<Request::OffsetCommitRequestTopic>::Iterator topic;
        std::size_t partition = 0;  ///< of that topic, so many are done
        bool begun = false;         ///< it has a place in the answer
    };

    std::int16_t version = 0;
    std::optional<Request> request = {};  ///< views the body
    Place at = {};
    PartitionErrors errors = {};  ///< of what stands before `at`

    std::optional<Ran> run(Context& context, ByteView body);
    void send(Context& context, Address& address, bool durable);
    std::vector<groups::Commit> take(const Context& context, Place& next,
                                     PartitionErrors& more) const;
};

/// Those that are next: `next` moves behind them.
std::vector<groups::Commit> Asked::take(const Context& context, Place& next,
                                        PartitionErrors& more) const {
    std::vector<groups::Commit> commits;
    for (std::size_t taken = 0; next.topic != request->topics.end(); ++next.topic) {
        const auto& topic = *next.topic;
        if (topic.partitions.empty()) continue;  // as Kafka, not told either
        const topics::Topic* found =
            version >= ids_since ? context.topics.registry.find(topic.topic_id.bytes) : nullptr;
        const std::size_t count = std::min(topic.partitions.size(), positions_per_turn);
        more.topic(topic.name.view(), count, topic.topic_id);
        if (commits.empty()) commits.reserve(count);
        next.begun = true;
        std::size_t number = 0;
        for (const auto& one : topic.partitions) {
            if (number++ < next.partition) continue;
            if (taken++ == positions_per_turn) return commits;
            ++next.partition;
            if (version >= ids_since && found == nullptr) {
                more.partition(one.partition_index, ErrorCode::unknown_topic_id);
                continue;
            }
            more.partition(one.partition_index);
            commits.push_back({.topic = found != nullptr ? found->name : topic.name.view(),
                               .partition = one.partition_index,
                               .offset = one.committed_offset,
                               .leader_epoch = one.committed_leader_epoch,
                               .metadata = view_or_empty(one.committed_metadata),
                               .retention = milliseconds(request->retention_time_ms)});
        }
        next.partition = 0;
        next.begun = false;
    }
    return commits;
}

std::optional<Ran> Asked::run(Context& context, ByteView body) {
    if (!request) {
        const auto decoded = wire::decode_front<Request>(body, version);
        if (!decoded) return std::nullopt;
        request = *decoded;
        at.topic = request->topics.begin();
    }
    Place next = at;
    PartitionErrors more;
    const std::vector<groups::Commit> commits = take(context, next, more);
    auto written = context.groups.commit(context.now,
                                         {.group = request->group_id.view(),
                                          .member = request->member_id.view(),
                                          .instance = optional_view(request->group_instance_id),
                                          .generation = request->generation_id_or_member_epoch,
                                          .knows_epochs = version >= epochs_since},
                                         commits);
    if (written.again) return written;  // the same once more
    if (written.error != ErrorCode::none)
        more.settle(written.error);
    else
        more.settle(written.each);
    errors.append(std::move(more), at.begun);
    at = next;
    return Ran{std::move(written), at.topic != request->topics.end()};
}

void Asked::send(Context& context, Address& address, bool durable) {
    tell_errors<Response, Response::OffsetCommitResponseTopic,
                Response::OffsetCommitResponsePartition>(context, address, &Response::topics,
                                                         std::move(errors), durable);
}

}  // namespace

void offset_commit(Context& context, Call call) {
    if (!read<Request>(context, call)) return;
    const std::int16_t version = call.version;
    write_groups(context, std::move(call), Asked{.version = version});
}

}  // namespace leat::api
