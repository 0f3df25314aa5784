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
    PartitionErrors errors;
};

groups::Groups::Written run(Context& context, ByteView body, std::int16_t version,
                            Outcome& outcome) {
    const auto request = wire::decode_front<Request>(body, version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    std::vector<groups::Groups::PartitionName> names;
    outcome.errors.clear();
    for (const auto& topic : request->topics) {
        outcome.errors.topic(topic.name.view());
        for (const auto& one : topic.partitions) {
            outcome.errors.partition(one.partition_index);
            names.push_back({topic.name.view(), one.partition_index});
        }
    }
    auto written = context.groups.delete_offsets(context.now, request->group_id.view(), names);
    outcome.error = written.error;
    if (written.error != ErrorCode::none)
        outcome.errors.clear();
    else
        outcome.errors.settle(written.each);
    return written;
}

void send(Context& context, Address& address, const Outcome& outcome, bool durable) {
    outcome.errors
        .with_topics<Response::OffsetDeleteResponseTopic, Response::OffsetDeleteResponsePartition>(
            durable, [&](const auto& topics) {
                Response response;
                response.error_code = outcome.error;
                response.topics = topics;
                answer(context, address, response);
            });
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
