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

groups::Groups::Written run(Context& context, ByteView body, std::int16_t version,
                            PartitionErrors& errors) {
    const auto request = wire::decode_front<Request>(body, version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    std::vector<groups::Commit> commits;
    errors.clear();
    for (const auto& topic : request->topics) {
        const topics::Topic* found =
            version >= ids_since ? context.topics.registry.find(topic.topic_id.bytes) : nullptr;
        errors.topic(topic.name.view(), topic.topic_id);
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

void send(Context& context, Address& address, const PartitionErrors& errors, bool durable) {
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
    if (!wire::decode_front<Request>(call.body, call.version))
        return call.reply.close(session::CloseReason::malformed_request);
    auto errors = std::make_shared<PartitionErrors>();  // shared by the two functions below
    const std::int16_t version = call.version;
    write_groups(
        context, std::move(call),
        [errors, version](Context& where, ByteView body) {
            return run(where, body, version, *errors);
        },
        [errors](Context& where, Address& address, bool durable) {
            send(where, address, *errors, durable);
        });
}

}  // namespace leat::api
