// One partition of the scripted upstream: its log, and what it knows of who wrote to it
// (kafka-rules 4.3).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "sdk/wire/error_code.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::uplink::test {

using Bytes = std::vector<std::uint8_t>;
using wire::ErrorCode;

struct Stored {
    wire::BatchHeader header;
    Bytes records;
};

struct ProducerEntry {
    std::int16_t epoch = -1;
    std::deque<std::pair<std::int32_t, std::int32_t>>
        last;  // first and last sequence of up to 5 batches
    std::int64_t last_timestamp = 0;
};

struct Partition {
    std::int32_t leader = 1;
    std::vector<Stored> batches;
    std::map<std::int64_t, ProducerEntry> producers;
    std::int64_t log_start = 0;
    std::int64_t high_watermark = INT64_MAX;  ///< or the end, if that is less

    std::int64_t log_end() const {
        return batches.empty() ? log_start : batches.back().header.next_offset();
    }

    /// base_offset  where it is
    ErrorCode append(Stored batch, std::int64_t& base_offset) {
        const wire::BatchHeader& header = batch.header;
        const std::int32_t last =
            wire::next_sequence(header.base_sequence, header.last_offset_delta);
        ProducerEntry& entry = producers[header.producer_id];
        if (entry.epoch == header.producer_epoch) {
            for (const auto& [first, until] : entry.last)
                if (first == header.base_sequence && until == last) {
                    base_offset = find(header);
                    return ErrorCode::none;  // a duplicate
                }
            if (!entry.last.empty() &&
                header.base_sequence != wire::next_sequence(entry.last.back().second, 1))
                return ErrorCode::out_of_order_sequence_number;
        } else {
            if (header.producer_epoch < entry.epoch) return ErrorCode::invalid_producer_epoch;
            if (entry.epoch >= 0 && header.base_sequence != 0)
                return ErrorCode::out_of_order_sequence_number;
            entry.last.clear();
        }
        entry.epoch = header.producer_epoch;
        entry.last_timestamp = header.max_timestamp;
        entry.last.emplace_back(header.base_sequence, last);
        if (entry.last.size() > 5) entry.last.pop_front();
        batch.header.base_offset = base_offset = log_end();
        batches.push_back(std::move(batch));
        return ErrorCode::none;
    }

    /// Kafka does so every ten minutes, of each whose last record is that old by its time stamp.
    void forget_producers(std::int64_t until) {
        std::erase_if(producers,
                      [&](const auto& entry) { return entry.second.last_timestamp <= until; });
    }

    /// The first one whole, and the last one cut where `bytes_max` are full.
    Bytes batches_from(std::int64_t offset, std::int32_t bytes_max) const {
        Bytes out;
        const auto most = static_cast<std::size_t>(bytes_max);
        for (const Stored& batch : batches) {
            if (batch.header.next_offset() <= offset) continue;
            if (batch.header.base_offset >= high_watermark || out.size() >= most) break;
            const std::size_t at = out.size();
            out.resize(at + wire::batch_header_size);
            wire::BatchHeader header = batch.header;
            wire::seal_batch_header(header, batch.records, out.data() + at);
            out.insert(out.end(), batch.records.begin(), batch.records.end());
            if (at > 0 && out.size() > most) out.resize(most);
        }
        return out;
    }

private:
    std::int64_t find(const wire::BatchHeader& header) const {
        for (const Stored& batch : batches)
            if (batch.header.producer_id == header.producer_id &&
                batch.header.producer_epoch == header.producer_epoch &&
                batch.header.base_sequence == header.base_sequence)
                return batch.header.base_offset;
        return -1;
    }
};

}  // namespace leat::uplink::test
