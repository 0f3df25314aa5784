#include "broker/topics/producer_state.hpp"

namespace leat::topics {

ProducerDecision decide(const log::ProducerState* state, const ProducerStamp& stamp) {
    using Kind = ProducerDecision::Kind;
    using wire::ErrorCode;
    // Never seen here (or forgotten): whatever sequence it starts with, there is nothing to compare
    // it with.
    if (state == nullptr || state->epoch < 0 || state->count == 0) return {};

    if (stamp.epoch == state->epoch)
        for (std::uint8_t i = 0; i < state->count; ++i)
            if (state->last[i].first_sequence == stamp.first_sequence &&
                state->last[i].last_sequence == stamp.last_sequence)
                return {.kind = Kind::duplicate, .original = &state->last[i]};

    if (stamp.epoch < state->epoch)
        return {.kind = Kind::refuse, .error = ErrorCode::invalid_producer_epoch};
    if (stamp.epoch != state->epoch) {
        // The producer bumped its epoch by itself (KIP-360) and starts over.
        if (stamp.first_sequence != 0)
            return {.kind = Kind::refuse, .error = ErrorCode::out_of_order_sequence_number};
        return {};
    }
    if (stamp.first_sequence != sequence_after(state->last[state->count - 1].last_sequence))
        return {.kind = Kind::refuse, .error = ErrorCode::out_of_order_sequence_number};
    return {};
}

}  // namespace leat::topics
