// OffsetDelete (key 47): single positions of a group; answered when durable.
#include "sdk/wire/api/47_offset_delete.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetDeleteRequest;
using Response = wire::OffsetDeleteResponse;

struct Outcome {
    ErrorCode error = ErrorCode::none;
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
    std::vector<groups::Groups::PartitionName> names;
    outcome.topics.clear();
    for (const auto& topic : request->topics) {
        auto& told = outcome.topics.emplace_back(Outcome::Topic{std::string(topic.name.view()), {}});
        for (const auto& one : topic.partitions) {
            told.partitions.emplace_back(one.partition_index, ErrorCode::none);
            names.push_back({topic.name.view(), one.partition_index});
        }
    }
    auto written = context.groups.delete_offsets(context.now, request->group_id.view(), names);
    outcome.error = written.error;
    if (written.error != ErrorCode::none) {
        outcome.topics.clear();
        return written;
    }
    std::size_t at = 0;
    for (Outcome::Topic& topic : outcome.topics)
        for (auto& [partition, error] : topic.partitions)
            if (at < written.each.size()) error = written.each[at++];
    return written;
}

void send(Context& context, Address& address, const Outcome& outcome, bool durable) {
    std::vector<Response::OffsetDeleteResponseTopic> topics;
    std::vector<std::vector<Response::OffsetDeleteResponsePartition>> partitions(
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
    response.error_code = outcome.error;
    response.topics = topics;
    answer(context, address, response);
}

}  // namespace

void offset_delete(Context& context, Call call) {
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
