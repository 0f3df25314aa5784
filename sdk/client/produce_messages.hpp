// The one text behind produce_any.cpp and produce_pinned.cpp; included by nobody else.
#pragma once

#include "sdk/client/produce_codec.hpp"
#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

inline void write_header(const TakenBatch& batch, std::uint8_t* at) {
    const SourceBatch& source = batch.source;
    const ProducerState& who = batch.queue->sending_as();
    wire::BatchHeader header;
    header.attributes = source.attributes;
    header.last_offset_delta = source.last_offset_delta;
    header.base_timestamp = source.base_timestamp;
    header.max_timestamp = source.max_timestamp;
    header.producer_id = who.producer_id;
    header.producer_epoch = who.producer_epoch;
    header.base_sequence = batch.base_sequence;
    header.record_count = source.record_count;
    wire::seal_batch_header(header, source.records, at);
}

inline std::size_t batch_size(const TakenBatch& batch) {
    return wire::batch_header_size + batch.source.records.size();
}

/// Encodes with a gap per batch, then opens each gap by 61 bytes for the batch's header, so that
/// what is ours between two batches' records is one piece.
template <std::size_t Batches, class Version>
Status append_produce_as(Connection& connection, const ProduceHead& head, Version version,
                         TakenBatch* first) {
    using Request = wire::ProduceRequest;
    Request::PartitionProduceData partitions[Batches];
    Request::TopicProduceData topics[Batches];
    wire::Gap gaps[Batches];
    std::size_t count = 0, topic_count = 0, topic_from = 0;
    for (TakenBatch* batch = first; batch != nullptr; batch = batch->next_in_request) {
        const PartitionQueue& queue = *batch->queue;
        partitions[count] = {queue.partition(), wire::BytesView::elsewhere(batch_size(*batch))};
        if (Batches == 1 || topic_count == 0 ||
            topics[topic_count - 1].name.view() != queue.topic()) {
            topic_from = count;
            topics[topic_count++].name = queue.topic();
        }
        Request::TopicProduceData& topic = topics[topic_count - 1];
        topic.topic_id = queue.topic_id();
        ++count;
        topic.partition_data = std::span<const Request::PartitionProduceData>(
            partitions + topic_from, count - topic_from);
    }
    Request request;
    request.acks = head.acks;
    request.timeout_ms = head.timeout_ms;
    request.topic_data = std::span<const Request::TopicProduceData>(topics, topic_count);

    MutableBytes room = connection.room();
    const std::size_t headers = count * wire::batch_header_size;
    if (room.size() < headers) return fail(Error::full);
    Result<wire::Apart> apart = wire::encode_apart(
        request, version, room.first(room.size() - headers), std::span(gaps, count));
    if (!apart) return fail(apart.error());

    std::size_t end = apart->written;
    for (std::size_t i = count; i-- > 0;) {
        std::memmove(room.data() + gaps[i].at + (i + 1) * wire::batch_header_size,
                     room.data() + gaps[i].at, end - gaps[i].at);
        end = gaps[i].at;
    }
    std::size_t from = 0, i = 0;
    for (TakenBatch* batch = first; batch != nullptr; batch = batch->next_in_request, ++i) {
        write_header(*batch, room.data() + gaps[i].at + i * wire::batch_header_size);
        const std::size_t to = gaps[i].at + (i + 1) * wire::batch_header_size;
        connection.append_own(to - from);
        connection.append_borrowed(batch->source.records);
        from = to;
    }
    connection.append_own(apart->written + headers - from);
    return ok();
}

template <class Version>
Result<std::int32_t> read_produced_as(ByteView body, Version version, Produced& to) {
    Result<wire::ProduceResponse> answer = wire::decode<wire::ProduceResponse>(body, version);
    if (!answer) return fail(answer.error());
    for (const auto& topic : answer->responses)
        for (const auto& partition : topic.partition_responses) {
            for (const auto& error : partition.record_errors)
                to.refused(topic.name, topic.topic_id, partition.index, error.batch_index);
            to.told(topic.name, topic.topic_id, partition.index,
                 {partition.error_code, partition.base_offset, partition.log_append_time_ms});
        }
    return answer->throttle_time_ms;
}

template <class Version>
Status send_init_as(Connection& connection, Instant now, Version version,
                    const RequestOptions& options) {
    wire::InitProducerIdRequest request;
    request.transactional_id = nullptr;
    return connection.send(now, request, version, options);
}

template <class Version>
Result<ProducerIdAnswer> read_producer_id_as(ByteView body, Version version) {
    Result<wire::InitProducerIdResponse> answer =
        wire::decode<wire::InitProducerIdResponse>(body, version);
    if (!answer) return fail(answer.error());
    return ProducerIdAnswer{answer->throttle_time_ms, answer->error_code, answer->producer_id,
                            answer->producer_epoch};
}

}  // namespace leat::client
