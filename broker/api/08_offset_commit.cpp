// OffsetCommit (key 8): acknowledged when durable; an unchanged position at once.
#include "sdk/wire/api/08_offset_commit.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetCommitRequest;
using Response = wire::OffsetCommitResponse;

struct Outcome {
    struct Topic {
        std::string name;
        std::vector<std::pair<std::int32_t, ErrorCode>> partitions;
    };
    std::vector<Topic> topics;
};

groups::Groups::Written run(Context& context, ByteView body, std::int16_t version,
                            Outcome& outcome) {
    const auto request = wire::decode_front<Request>(body, version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    std::vector<groups::Commit> commits;
    outcome.topics.clear();
    for (const auto& topic : request->topics) {
        auto& told = outcome.topics.emplace_back(Outcome::Topic{std::string(topic.name.view()), {}});
        for (const auto& one : topic.partitions) {
            told.partitions.emplace_back(one.partition_index, ErrorCode::none);
            commits.push_back({.topic = topic.name.view(),
                               .partition = one.partition_index,
                               .offset = one.committed_offset,
                               .leader_epoch = one.committed_leader_epoch,
                               .metadata = view_or_empty(one.committed_metadata),
                               .retention = milliseconds(request->retention_time_ms)});
        }
    }
    auto written = context.groups.commit(
        context.now,
        {.group = request->group_id.view(),
         .member = request->member_id.view(),
         .instance = optional_view(request->group_instance_id),
         .generation = request->generation_id_or_member_epoch},
        commits);
    std::size_t at = 0;
    for (Outcome::Topic& topic : outcome.topics)
        for (auto& [partition, error] : topic.partitions) {
            error = written.error != ErrorCode::none ? written.error
                    : at < written.each.size()       ? written.each[at]
                                                     : ErrorCode::none;
            ++at;
        }
    return written;
}

void send(Context& context, Address& address, const Outcome& outcome, bool durable) {
    std::vector<Response::OffsetCommitResponseTopic> topics;
    std::vector<std::vector<Response::OffsetCommitResponsePartition>> partitions(
        outcome.topics.size());
    for (std::size_t i = 0; i < outcome.topics.size(); ++i) {
        for (const auto& [partition, error] : outcome.topics[i].partitions) {
            auto& one = partitions[i].emplace_back();
            one.partition_index = partition;
            one.error_code = error == ErrorCode::none && !durable
                                 ? ErrorCode::coordinator_not_available
                                 : error;
        }
        auto& topic = topics.emplace_back();
        topic.name = outcome.topics[i].name;
        topic.partitions = partitions[i];
    }
    Response response;
    response.topics = topics;
    answer(context, address, response);
}

}  // namespace

void offset_commit(Context& context, Call call) {
    if (!wire::decode_front<Request>(call.body, call.version))
        return call.reply.close(session::CloseReason::malformed_request);
    auto outcome = std::make_shared<Outcome>();  // shared by the two functions below
    const std::int16_t version = call.version;
    write_groups(
        context, std::move(call),
        [outcome, version](Context& where, ByteView body) {
            return run(where, body, version, *outcome);
        },
        [outcome](Context& where, Address& address, bool durable) {
            send(where, address, *outcome, durable);
        });
}

}  // namespace leat::api
