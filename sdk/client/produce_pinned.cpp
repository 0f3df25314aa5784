#include "sdk/client/produce_messages.hpp"

namespace leat::client {

namespace {
constexpr std::integral_constant<std::int16_t, produce_pinned> produce;
constexpr std::integral_constant<std::int16_t, init_producer_id_pinned> init_producer_id;
}  // namespace

std::size_t produce_batches_max() { return 1; }

Status append_produce(Connection& connection, const ProduceHead& head, TakenBatch* first) {
    return append_produce_as<1>(connection, head, produce, first);
}

Result<std::int32_t> read_produced(const Event& answer, OnPartition told, void* user) {
    return read_produced_as(answer.body, produce, told, user);
}

Status send_init_producer_id(Connection& connection, Instant now, std::int16_t,
                             const RequestOptions& options) {
    return send_init_as(connection, now, init_producer_id, options);
}

Result<ProducerIdAnswer> read_producer_id(const Event& answer) {
    return read_producer_id_as(answer.body, init_producer_id);
}

}  // namespace leat::client
