// OffsetCommit (key 8): acknowledged when durable; an unchanged position at once.
#include "sdk/wire/api/08_offset_commit.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetCommitRequest;
using Response = wire::OffsetCommitResponse;
constexpr std::int16_t epochs_since = 9;  // of members of consumer groups (KIP-848)
constexpr std::int16_t ids_since = 10;  // topics have names before it

struct Asked {
    std::int16_t version = 0;
    PartitionErrors errors;

    std::optional<groups::Groups::Written> run(Context& context, ByteView body);
    void send(Context& context, Address& address, bool durable) const;
};

std::optional<groups::Groups::Written> Asked::run(Context& context, ByteView body) {
    const auto request = wire::decode_front<Request>(body, version);
    if (!request) return std::nullopt;
    std::vector<groups::Commit> commits;
    errors.clear();
    for (const auto& topic : request->topics) {
        if (topic.partitions.empty()) continue;  // as Kafka, not told either
        const topics::Topic* found =
            version >= ids_since ? context.topics.registry.find(topic.topic_id.bytes) : nullptr;
        errors.topic(topic.name.view(), topic.partitions.size(), topic.topic_id);
        if (commits.empty()) commits.reserve(topic.partitions.size());
        for (const auto& one : topic.partitions) {
            if (version >= ids_since && found == nullptr) {
                errors.partition(one.partition_index, ErrorCode::unknown_topic_id);
                continue;
            }
            errors.partition(one.partition_index);
            commits.push_back({.topic = found != nullptr ? found->name : topic.name.view(),
                               .partition = one.partition_index,
                               .offset = one.committed_offset,
                               .leader_epoch = one.committed_leader_epoch,
                               .metadata = view_or_empty(one.committed_metadata),
                               .retention = milliseconds(request->retention_time_ms)});
        }
    }
    auto written = context.groups.commit(context.now,
                                         {.group = request->group_id.view(),
                                          .member = request->member_id.view(),
                                          .instance = optional_view(request->group_instance_id),
                                          .generation = request->generation_id_or_member_epoch,
                                          .knows_epochs = version >= epochs_since},
                                         commits);
    if (written.error != ErrorCode::none)
        errors.settle(written.error);
    else
        errors.settle(written.each);
    return written;
}

void Asked::send(Context& context, Address& address, bool durable) const {
    errors
        .with_topics<Response::OffsetCommitResponseTopic, Response::OffsetCommitResponsePartition>(
            durable, [&](const auto& topics) {
                Response response;
                response.topics = topics;
                answer(context, address, response);
            });
}

}  // namespace

void offset_commit(Context& context, Call call) {
    const std::int16_t version = call.version;
    write_groups(context, std::move(call), Asked{.version = version, .errors = {}});
}

}  // namespace leat::api
