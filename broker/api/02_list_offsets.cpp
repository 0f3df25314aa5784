// ListOffsets (key 2): latest (-1), earliest (-2), of the largest timestamp (-3, v7), or by
// timestamp. All of a log is local: earliest local (-4, v8) is earliest, and there is no last
// tiered offset (-5, v9) and none whose upload is pending (-6, v11).
#include "sdk/wire/api/02_list_offsets.hpp"

#include "broker/api/handlers.hpp"
#include "broker/api/parked_lookups.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::api {
namespace {

constexpr std::int64_t lowest_name(std::int16_t version) {
    return version >= 11 ? -6 : version >= 9 ? -5 : version >= 8 ? -4 : version >= 7 ? -3 : -2;
}

}  // namespace

void list_offsets(Context& context, Call call) {
    using wire::ErrorCode;
    const auto request = wire::decode_front<wire::ListOffsetsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto lookup = std::make_unique<Lookup>();
    for (const auto& topic : request->topics) {
        const topics::Topic* found = context.topics.registry.find(topic.name.view());
        LookupTopic& mine = lookup->topics.emplace_back();
        mine.name = topic.name.view();
        // One that is named twice is answered twice, and refused both times, as Kafka does.
        std::vector<bool> named(found != nullptr ? found->partitions.size() : 0), twice = named;
        for (const auto& partition : topic.partitions) {
            if (found == nullptr || !found->has(partition.partition_index)) continue;
            const auto index = static_cast<std::size_t>(partition.partition_index);
            (named[index] ? twice : named)[index] = true;
        }
        for (const auto& partition : topic.partitions) {
            LookedUp& one = mine.partitions.emplace_back();
            one.partition = partition.partition_index;
            one.target = partition.timestamp;
            const bool exists = found != nullptr && found->has(one.partition);
            if (exists && twice[static_cast<std::size_t>(one.partition)])
                one.error = ErrorCode::invalid_request;
            else if (one.target < lowest_name(call.version))
                one.error =
                    ErrorCode::unsupported_version;  // a name that this version does not have
            else if (!exists)
                one.error = ErrorCode::unknown_topic_or_partition;
            else
                one.error = context.topics.registry.epochs.check(partition.current_leader_epoch);
            if (one.error == ErrorCode::none)
                one.stream = found->partitions[static_cast<std::size_t>(one.partition)];
        }
    }
    lookup->address = address_of(call);
    context.lookups.start(context, std::move(lookup));
}

}  // namespace leat::api
