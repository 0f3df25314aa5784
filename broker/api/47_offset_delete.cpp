// OffsetDelete (key 47): single positions of a group; answered when durable.
#include "sdk/wire/api/47_offset_delete.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetDeleteRequest;
using Response = wire::OffsetDeleteResponse;

struct Asked {
    std::int16_t version = 0;
    ErrorCode error = ErrorCode::none;
    PartitionErrors errors;

    std::optional<groups::Groups::Written> run(Context& context, ByteView body);
    void send(Context& context, Address& address, bool durable) const;
};

std::optional<groups::Groups::Written> Asked::run(Context& context, ByteView body) {
    const auto request = wire::decode_front<Request>(body, version);
    if (!request) return std::nullopt;
    std::vector<groups::Groups::PartitionName> names;
    errors.clear();
    for (const auto& topic : request->topics) {
        errors.topic(topic.name.view(), topic.partitions.size());
        for (const auto& one : topic.partitions) {
            errors.partition(one.partition_index);
            names.push_back({topic.name.view(), one.partition_index});
        }
    }
    auto written = context.groups.delete_offsets(context.now, request->group_id.view(), names);
    error = written.error;
    if (written.error != ErrorCode::none)
        errors.clear();
    else
        errors.settle(written.each);
    return written;
}

void Asked::send(Context& context, Address& address, bool durable) const {
    errors
        .with_topics<Response::OffsetDeleteResponseTopic, Response::OffsetDeleteResponsePartition>(
            durable, [&](const auto& topics) {
                Response response;
                response.error_code = error;
                response.topics = topics;
                answer(context, address, response);
            });
}

}  // namespace

void offset_delete(Context& context, Call call) {
    if (!read<Request>(context, call)) return;
    const std::int16_t version = call.version;
    write_groups(context, std::move(call),
                 Asked{.version = version, .error = ErrorCode::none, .errors = {}});
}

}  // namespace leat::api
