#include "sdk/client/produce_messages.hpp"

namespace leat::client {

namespace {
constexpr std::size_t batches_max = 64;  // the arrays of one request lie on the stack: 9 KiB
}

std::size_t produce_batches_max() { return batches_max; }

Status append_produce(Connection& connection, const ProduceHead& head, const PartitionQueue&,
                      TakenBatch* first) {
    return append_produce_as<batches_max>(connection, head, head.version, first);
}

void Produced::refused(std::string_view topic, const wire::Uuid& topic_id, std::int32_t index,
                       std::int32_t record) const {
    for (TakenBatch* batch = unanswered; batch != nullptr; batch = batch->next_in_request) {
        PartitionQueue& queue = *batch->queue;
        if (is_of(queue, topic, topic_id, index))
            return queue.source().record_refused(queue.slot(), batch->source.ticket, record);
    }
}

Result<std::int32_t> read_produced(const Event& answer, Produced& to) {
    return read_produced_as(answer.body, answer.api_version, to);
}

Status send_init_producer_id(Connection& connection, Instant now, std::int16_t version,
                             const RequestOptions& options) {
    return send_init_as(connection, now, version, options);
}

Result<ProducerIdAnswer> read_producer_id(const Event& answer) {
    return read_producer_id_as(answer.body, answer.api_version);
}

}  // namespace leat::client
