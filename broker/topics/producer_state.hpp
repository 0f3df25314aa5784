// The idempotent producer's rules of one partition: what to do with a batch that carries a producer
// id. KIP-98 and KIP-360 as Apache Kafka 4.3 does it; the state itself is kept, and recovered, by
// the log.
#pragma once

#include <cstdint>

#include "broker/log/log.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::topics {

struct ProducerStamp {
    std::int16_t epoch = -1;
    std::int32_t first_sequence = -1;
    std::int32_t last_sequence = -1;
};

struct ProducerDecision {
    enum class Kind : std::uint8_t { append, duplicate, refuse } kind = Kind::append;
    const log::ProducerBatch* original = nullptr;   ///< for duplicate: borrowed from `state`
    wire::ErrorCode error = wire::ErrorCode::none;  ///< for refuse
};

/// state  null if the producer was never seen here, expired, or its records were deleted: any
/// sequence is fine
ProducerDecision decide(const log::ProducerState* state, const ProducerStamp& stamp);

/// The sequence after `sequence`: 2147483647 is followed by 0.
constexpr std::int32_t sequence_after(std::int32_t sequence) {
    return sequence == INT32_MAX ? 0 : sequence + 1;
}
/// The sequence of a batch's last record. last_offset_delta >= 0.
constexpr std::int32_t last_sequence_of(std::int32_t base_sequence,
                                        std::int32_t last_offset_delta) {
    const std::int64_t last = std::int64_t{base_sequence} + last_offset_delta;
    return static_cast<std::int32_t>(last > INT32_MAX ? last - INT32_MAX - 1 : last);
}

}  // namespace leat::topics
