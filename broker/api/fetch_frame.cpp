#include "broker/api/fetch_frame.hpp"

#include <cstring>

#include "broker/api/answer.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {
namespace {

using Response = wire::FetchResponse;
constexpr std::int16_t leaders_since = 16;
constexpr std::size_t front_bound =
    4 + 5 + 32;  // frame length, response header, fields before the first topic
constexpr std::size_t topic_bound =
    32;  // id, lengths and counts beside the name, tag section of the one before
constexpr std::size_t partition_bound =
    72;  // all fields of a partition without records, its tag section

constexpr std::size_t tail_bound = 32;  // tag sections after the last partition

}  // namespace

void plan_fetch_frame(Fetching& fetching) {
    std::size_t piece = front_bound, total = 0, index = 0;
    for (const FetchedTopic& topic : fetching.topics) {
        piece += topic.name.size() + topic_bound;
        for (std::size_t i = 0; i < topic.partitions; ++i) {
            piece += partition_bound;
            fetching.partitions[index++].piece = piece;
            total += piece;
            piece = 0;
        }
    }
    fetching.frame_bound =
        total + piece + tail_bound;  // topics without partitions may stand at the end
    std::size_t later = fetching.frame_bound;
    for (FetchedPartition& partition : fetching.partitions)
        partition.later = later -= partition.piece;
}

void send_fetch_frame(Context& context, Fetching& fetching) {
    std::vector<Response::PartitionData> partitions(fetching.partitions.size());
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        const FetchedPartition& from = fetching.partitions[i];
        Response::PartitionData& to = partitions[i];
        to.partition_index = from.partition;
        to.error_code = from.error;
        to.preferred_read_replica = -1;
        to.aborted_transactions = nullptr;
        if (from.error == wire::ErrorCode::none) {
            to.high_watermark = from.high_watermark;
            to.last_stable_offset =
                from.high_watermark;  // no transactions yet: everything durable is stable
            to.log_start_offset = from.log_start;
            to.diverging_epoch = from.diverging;
            if (fetching.read_committed) to.aborted_transactions = {};
        } else {
            to.high_watermark = to.last_stable_offset = to.log_start_offset = -1;
            // KIP-951. The node itself needs no telling: the client talks to it.
            if (from.error == wire::ErrorCode::fenced_leader_epoch &&
                fetching.address.version >= leaders_since)
                to.current_leader = {context.settings.node_id,
                                     context.topics.registry.epochs.current()};
        }
        if (from.size > 0) to.records = wire::BytesView::elsewhere(from.size);
    }
    std::vector<Response::FetchableTopicResponse> topics;
    std::size_t first = 0;
    for (const FetchedTopic& topic : fetching.topics) {
        Response::FetchableTopicResponse one;
        one.topic = topic.name;
        one.topic_id = topic.id;
        one.partitions =
            std::span<const Response::PartitionData>(partitions).subspan(first, topic.partitions);
        first += topic.partitions;
        topics.push_back(one);
    }
    Response response;
    response.responses = topics;
    charge_fetch(context, fetching.address, fetching.total);
    if (fetching.total == 0) return answer(context, fetching.address, response);
    response.throttle_time_ms = throttle_time_ms(context, fetching.address.reply);

    // The message without records goes to a scratch, then piece by piece to its places.
    const std::int16_t version = fetching.address.version;
    const std::size_t head =
        wire::frame_prefix_size + wire::response_header_size(wire::ApiKey::fetch, version);
    std::vector<std::uint8_t> message(fetching.frame_bound);
    std::vector<wire::Gap> gaps(partitions.size());
    const auto header =
        wire::encode_response_header(wire::ApiKey::fetch, version, fetching.address.correlation_id,
                                     MutableBytes(message).subspan(wire::frame_prefix_size));
    const auto apart =
        wire::encode_apart(response, version, MutableBytes(message).subspan(head), gaps);
    LEAT_CHECK(header && apart && apart->gaps > 0);
    wire::put_frame_prefix(message.data(), head - wire::frame_prefix_size + apart->total);

    const MutableBytes memory = fetching.memory.all();
    std::size_t begin = 0, end = 0, gap = 0, taken = 0;
    for (const FetchedPartition& partition : fetching.partitions) {
        if (partition.size == 0) continue;
        const std::size_t upto = head + gaps[gap].at;
        const std::size_t piece = upto - taken;
        if (gap == 0) {
            LEAT_CHECK(piece <= partition.at);
            begin = partition.at - piece;
            end = partition.at + partition.size;
            std::memcpy(memory.data() + begin, message.data(), piece);
        } else {
            LEAT_CHECK(end + piece <= partition.at);
            std::memcpy(memory.data() + end, message.data() + taken, piece);
            std::memmove(memory.data() + end + piece, memory.data() + partition.at, partition.size);
            end += piece + partition.size;
        }
        taken = upto;
        ++gap;
    }
    const std::size_t rest = head + apart->written - taken;
    LEAT_CHECK(rest <= memory.size() - end);
    std::memcpy(memory.data() + end, message.data() + taken, rest);
    fetching.memory.narrow(begin, end + rest);
    fetching.memory.grant().shrink(fetching.memory.size());
    fetching.address.reply.send(std::move(fetching.memory));
}

}  // namespace leat::api
