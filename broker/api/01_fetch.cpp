// Fetch (key 1): a long poll. Sessions (KIP-227) are declined with session id 0, which every client
// takes.
#include "sdk/wire/api/01_fetch.hpp"

#include <algorithm>

#include "broker/api/answer.hpp"
#include "broker/api/asked_topic.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/parked_fetches.hpp"

namespace leat::api {
namespace {

constexpr std::int16_t ids_since = 13;  // topics have names before it

// A longer wait is answered empty after this and asked again: nobody is parked for days.
constexpr milliseconds wait_max{60'000};

// Waits that end empty end together, on a grid and never late: a thousand consumers that wait half
// a second each then wake the gateway 40 times a second instead of 2,000 times.
constexpr milliseconds grid{25}, grid_from{500};

Instant give_up_at(Instant now, milliseconds wait) {
    const Instant end = now + wait;
    return wait < grid_from ? end : end - end.time_since_epoch() % grid;
}

// KIP-320: a client that knows another leader is told so; one whose last record is of an epoch that
// ended before its position is told where that was (KIP-595), and gets no records.
void check_epochs(const topics::LeaderEpochs& epochs,
                  const wire::FetchRequest::FetchPartition& asked, FetchedPartition& one) {
    if (one.stream == 0) return;
    one.error = epochs.check(asked.current_leader_epoch);
    if (one.error == wire::ErrorCode::none && asked.last_fetched_epoch >= 0) {
        const auto end = epochs.end_of(one.stream, asked.last_fetched_epoch);
        if (end.end < 0)
            one.error = wire::ErrorCode::offset_out_of_range;
        else if (end.end < one.offset || (end.epoch < asked.last_fetched_epoch && !end.merged))
            one.diverging = {end.epoch, end.end};
    }
    if (one.error != wire::ErrorCode::none) one.stream = 0;
}

}  // namespace

void fetch(Context& context, Call call) {
    const auto request = wire::decode_front<wire::FetchRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    if (request->session_id != 0 && request->session_epoch > 0) {
        wire::FetchResponse response;
        response.error_code = wire::ErrorCode::fetch_session_id_not_found;
        return answer(context, call, response);
    }
    const bool by_id = call.version >= ids_since;
    auto fetching = std::make_unique<Fetching>();
    fetching->read_committed = request->isolation_level == 1;
    fetching->bytes_max =
        std::min<std::size_t>(static_cast<std::size_t>(std::max(request->max_bytes, 0)),
                              context.settings.response_bytes_max);
    fetching->bytes_max = std::min(fetching->bytes_max, context.quotas.fetch_bytes_max(call.payer));
    // Never more than may come back: else such a poll would always wait its whole time.
    fetching->bytes_min = std::min<std::uint64_t>(
        static_cast<std::uint64_t>(std::max(request->min_bytes, 0)), fetching->bytes_max);
    fetching->give_up = give_up_at(
        context.now, std::clamp(milliseconds(request->max_wait_ms), milliseconds(0), wait_max));
    for (const auto& topic : request->topics) {
        const topics::Topic* found =
            asked_topic(context.topics.registry, by_id, topic.topic, topic.topic_id);
        FetchedTopic& mine = fetching->topics.emplace_back();
        mine.name = topic.topic.view();
        mine.id = topic.topic_id;
        for (const auto& partition : topic.partitions) {
            ++mine.partitions;
            FetchedPartition& one = fetching->partitions.emplace_back();
            one.partition = partition.partition;
            one.offset = partition.fetch_offset;
            one.bytes_max = static_cast<std::uint32_t>(std::max(partition.partition_max_bytes, 0));
            if (found == nullptr)
                one.error = unknown_topic(by_id);
            else if (!found->has(partition.partition))
                one.error = wire::ErrorCode::unknown_topic_or_partition;
            else
                one.stream = found->partitions[static_cast<std::size_t>(partition.partition)];
            check_epochs(context.topics.registry.epochs, partition, one);
        }
    }
    fetching->address = address_of(call);
    context.fetches.start(context, std::move(fetching));
}

}  // namespace leat::api
