// ListOffsets (key 2): latest (-1), earliest (-2), of the largest timestamp (-3, v7), or by
// timestamp.
#include "sdk/wire/api/02_list_offsets.hpp"

#include "broker/api/handlers.hpp"
#include "broker/api/parked_lookups.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::api {

void list_offsets(Context& context, Call call) {
    using wire::ErrorCode;
    const auto request = wire::decode_front<wire::ListOffsetsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto lookup = std::make_unique<Lookup>();
    for (const auto& topic : request->topics) {
        const topics::Topic* found = context.topics.registry.find(topic.name.view());
        LookupTopic& mine = lookup->topics.emplace_back();
        mine.name = topic.name.view();
        for (const auto& partition : topic.partitions) {
            LookedUp& one = mine.partitions.emplace_back();
            one.partition = partition.partition_index;
            one.target = partition.timestamp;
            if (found == nullptr || one.partition < 0 ||
                static_cast<std::size_t>(one.partition) >= found->partitions.size())
                one.error = ErrorCode::unknown_topic_or_partition;
            else if (one.target < (call.version >= 7 ? -3 : -2))
                one.error =
                    ErrorCode::unsupported_version;  // a name that this version does not have
            else
                one.stream = found->partitions[static_cast<std::size_t>(one.partition)];
        }
    }
    lookup->address = address_of(call);
    context.lookups.start(context, std::move(lookup));
}

}  // namespace leat::api
