// InitProducerId (key 22): producer id and epoch for idempotence (KIP-98) and transactions.
//
// v3 lets a producer hand in the id and epoch it has, to get the epoch bumped (KIP-360). v6 is the
// two-phase commit of KIP-939, which Kafka itself does not advertise yet.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct InitProducerIdRequest {
    StringView transactional_id = nullptr;  ///< null: idempotence only
    std::int32_t transaction_timeout_ms = 0;
    std::int64_t producer_id = -1;  ///< -1: none yet (KIP-360)
    std::int16_t producer_epoch = -1;
    bool enable2_pc = false;
    bool keep_prepared_txn = false;

    static constexpr ApiKey api_key = ApiKey::init_producer_id;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("transactional_id", m.transactional_id, always.nullable());
        io("transaction_timeout_ms", m.transaction_timeout_ms);
        io("producer_id", m.producer_id, since(3));
        io("producer_epoch", m.producer_epoch, since(3));
        io("enable2_pc", m.enable2_pc, since(6));
        io("keep_prepared_txn", m.keep_prepared_txn, since(6));
    }
};

struct InitProducerIdResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = 0;
    std::int64_t ongoing_txn_producer_id = -1;
    std::int16_t ongoing_txn_producer_epoch = -1;

    static constexpr ApiKey api_key = ApiKey::init_producer_id;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("producer_id", m.producer_id);
        io("producer_epoch", m.producer_epoch);
        io("ongoing_txn_producer_id", m.ongoing_txn_producer_id, since(6));
        io("ongoing_txn_producer_epoch", m.ongoing_txn_producer_epoch, since(6));
    }
};

}  // namespace leat::wire
