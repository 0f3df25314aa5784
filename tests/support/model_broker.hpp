// A Kafka broker reduced to what a producer and a consumer notice: frames in, frames out, logs in
// memory, and the idempotence rules of Kafka 4.3.1 (per producer and partition: epoch and the last
// five batches). Sans-IO: the test moves the bytes and injects the faults.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "sdk/wire/header.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::testing {

using Bytes = std::vector<std::uint8_t>;

class ModelBroker {
public:
    struct Stored {
        Bytes batch;  ///< with its base offset
        std::int64_t base_offset = 0;
        std::int32_t count = 0;
        std::vector<std::string> values;
        std::int32_t epoch = 0;  ///< of the leader that appended it
    };
    struct Partition {
        struct Cached {
            std::int32_t first = 0, last = 0;
            std::int64_t base_offset = 0;
        };
        struct Producer {
            std::int16_t epoch = -1;
            std::deque<Cached> batches;
        };
        std::vector<Stored> log;
        std::map<std::int64_t, Producer> producers;
        struct Aborted {
            std::int64_t producer_id = 0, first_offset = 0, marker_offset = 0;
        };
        std::vector<Aborted> aborted;
        std::int64_t end = 0;
        std::optional<std::int64_t> stable{};  ///< a transaction is open from here on
        std::vector<std::string> values() const {
            std::vector<std::string> all;
            for (const Stored& stored : log)
                all.insert(all.end(), stored.values.begin(), stored.values.end());
            return all;
        }
    };
    /// Asked for each batch; what it returns is answered instead of appending (or, with
    /// `append_first`, after appending: the request was carried out and the answer says otherwise).
    struct Fault {
        wire::ErrorCode error = wire::ErrorCode::none;
        bool append_first = false;
    };
    std::function<Fault(const std::string& topic, std::int32_t partition)> on_batch;
    /// The leader's epoch, stamped into each batch; null: 0.
    std::function<std::int32_t(const std::string& topic, std::int32_t partition)> epoch_of;
    std::size_t batch_bytes_max = SIZE_MAX;  ///< max.message.bytes
    wire::ErrorCode init_error = wire::ErrorCode::none;
    std::int32_t throttle_ms = 0;
    std::int64_t next_producer_id = 1000;
    int requests = 0;
    int duplicates = 0;  ///< resends that were recognised
    int out_of_order = 0;
    std::map<std::pair<std::string, std::int32_t>, Partition> partitions;

    Partition& at(const std::string& topic, std::int32_t partition) {
        return partitions[{topic, partition}];
    }

    /// One request frame, without its length. Returns the answer with its length, if there is one.
    std::optional<Bytes> handle(ByteView frame) {
        auto request = wire::decode_request(frame);
        if (!request) return std::nullopt;
        ++requests;
        switch (request->header.api_key) {
            case wire::ApiKey::api_versions:
                return api_versions(*request);
            case wire::ApiKey::init_producer_id:
                return init_producer_id(*request);
            case wire::ApiKey::produce:
                return produce(*request);
            case wire::ApiKey::fetch:
                return fetch(*request);
            case wire::ApiKey::list_offsets:
                return list_offsets(*request);
            default:
                return std::nullopt;
        }
    }

    template <class M>
    static Bytes answer(const wire::RequestHeader& header, const M& body, std::int16_t version) {
        Bytes frame(4 + 5 + wire::encoded_size(body, version));
        auto head = wire::encode_response_header(header.api_key, version, header.correlation_id,
                                                 MutableBytes(frame).subspan(4));
        auto size = wire::encode(body, version, MutableBytes(frame).subspan(4 + *head));
        frame.resize(4 + *head + *size);
        store_big(frame.data(), static_cast<std::int32_t>(frame.size() - 4));
        return frame;
    }

private:
    static Bytes api_versions(const wire::Request& request) {
        using Entry = wire::ApiVersionsResponse::ApiVersion;
        std::vector<Entry> entries;
        for (const wire::Api& api : wire::apis())
            entries.push_back(
                {static_cast<std::int16_t>(api.key), api.codec.first, api.codec.last});
        wire::ApiVersionsResponse response;
        response.api_keys = std::span<const Entry>(entries);
        return answer(request.header, response, request.header.api_version);
    }

    Bytes init_producer_id(const wire::Request& request) {
        wire::InitProducerIdResponse response;
        response.error_code = init_error;
        response.throttle_time_ms = throttle_ms;
        if (init_error == wire::ErrorCode::none) response.producer_id = next_producer_id++;
        return answer(request.header, response, request.header.api_version);
    }

    std::optional<Bytes> produce(const wire::Request& request) {
        using Response = wire::ProduceResponse;
        const std::int16_t version = request.header.api_version;
        auto body = wire::decode<wire::ProduceRequest>(request.body, version);
        if (!body) return std::nullopt;
        std::vector<std::vector<Response::PartitionProduceResponse>> answers;
        std::vector<Response::TopicProduceResponse> topics;
        for (const auto& topic : body->topic_data) {
            answers.emplace_back();
            for (const auto& data : topic.partition_data) {
                Response::PartitionProduceResponse partition;
                partition.index = data.index;
                partition.base_offset = -1;
                partition.error_code = append(std::string(topic.name.view()), data.index,
                                              data.records, partition.base_offset);
                answers.back().push_back(partition);
            }
            topics.push_back({topic.name, topic.topic_id, {}});
        }
        for (std::size_t i = 0; i < topics.size(); ++i)
            topics[i].partition_responses =
                std::span<const Response::PartitionProduceResponse>(answers[i]);
        if (body->acks == 0) return std::nullopt;
        Response response;
        response.responses = std::span<const Response::TopicProduceResponse>(topics);
        response.throttle_time_ms = throttle_ms;
        return answer(request.header, response, version);
    }

    wire::ErrorCode append(const std::string& topic, std::int32_t index, ByteView records,
                           std::int64_t& base_offset) {
        Fault fault = on_batch ? on_batch(topic, index) : Fault{};
        if (fault.error != wire::ErrorCode::none && !fault.append_first) return fault.error;
        auto batch = wire::BatchView::parse(records);
        if (!batch || !batch->crc_ok() || batch->whole().size() != records.size())
            return wire::ErrorCode::corrupt_message;
        if (records.size() > batch_bytes_max) return wire::ErrorCode::message_too_large;
        const wire::BatchHeader& header = batch->header();
        Partition& partition = at(topic, index);
        wire::ErrorCode error = wire::ErrorCode::none;
        bool is_new = true;
        if (header.producer_id >= 0) error = check(partition, header, base_offset, is_new);
        if (error != wire::ErrorCode::none) return error;
        if (is_new) store(partition, *batch, base_offset, epoch_of ? epoch_of(topic, index) : 0);
        if (fault.append_first) base_offset = -1;
        return fault.error;
    }

    wire::ErrorCode check(Partition& partition, const wire::BatchHeader& header,
                          std::int64_t& base_offset, bool& is_new) {
        Partition::Producer& producer = partition.producers[header.producer_id];
        const std::int32_t last =
            wire::next_sequence(header.base_sequence, header.record_count - 1);
        if (header.producer_epoch == producer.epoch)
            for (const Partition::Cached& cached : producer.batches)
                if (cached.first == header.base_sequence && cached.last == last) {
                    base_offset = cached.base_offset;
                    is_new = false;
                    ++duplicates;
                    return wire::ErrorCode::none;
                }
        if (header.producer_epoch < producer.epoch) return wire::ErrorCode::invalid_producer_epoch;
        const bool in_order =
            producer.epoch < 0 ? true
            : header.producer_epoch != producer.epoch
                ? header.base_sequence == 0
                : header.base_sequence == wire::next_sequence(producer.batches.back().last, 1);
        if (!in_order) {
            ++out_of_order;
            return wire::ErrorCode::out_of_order_sequence_number;
        }
        if (producer.epoch != header.producer_epoch) producer.batches.clear();
        producer.epoch = header.producer_epoch;
        producer.batches.push_back({header.base_sequence, last, partition.end});
        if (producer.batches.size() > 5) producer.batches.pop_front();
        return wire::ErrorCode::none;
    }

    static void store(Partition& partition, const wire::BatchView& batch, std::int64_t& base_offset,
                      std::int32_t epoch) {
        Stored stored{.batch = Bytes(batch.whole().begin(), batch.whole().end()),
                      .base_offset = partition.end,
                      .count = batch.header().record_count,
                      .values = {},
                      .epoch = epoch};
        store_big(stored.batch.data(), partition.end);
        store_big(stored.batch.data() + 12, epoch);
        if (batch.codec() == Codec::none) {
            wire::RecordReader reader(batch.records(), batch.header().record_count);
            while (auto record = reader.next())
                stored.values.emplace_back(text_of(record->value.view()));
        }
        base_offset = partition.end;
        partition.end += batch.header().record_count;
        partition.log.push_back(std::move(stored));
    }

    Bytes fetch(const wire::Request& request) {
        using Response = wire::FetchResponse;
        const std::int16_t version = request.header.api_version;
        auto body = wire::decode<wire::FetchRequest>(request.body, version);
        std::vector<std::vector<Response::PartitionData>> answers;
        std::deque<Bytes> data;
        std::deque<std::vector<Response::AbortedTransaction>> aborted;
        std::vector<Response::FetchableTopicResponse> topics;
        std::int32_t left = body->max_bytes;
        for (const auto& topic : body->topics) {
            answers.emplace_back();
            for (const auto& asked : topic.partitions) {
                Partition& partition = at(std::string(topic.topic.view()), asked.partition);
                Response::PartitionData answer;
                answer.partition_index = asked.partition;
                answer.high_watermark = partition.end;
                answer.last_stable_offset = partition.stable.value_or(partition.end);
                const std::int64_t end =
                    body->isolation_level == 1 ? answer.last_stable_offset : partition.end;
                answer.log_start_offset =
                    partition.log.empty() ? 0 : partition.log.front().base_offset;
                answer.aborted_transactions = nullptr;
                if (body->isolation_level == 1) {
                    auto& list = aborted.emplace_back();
                    for (const Partition::Aborted& one : partition.aborted)
                        if (one.marker_offset >= asked.fetch_offset)
                            list.push_back({one.producer_id, one.first_offset});
                    answer.aborted_transactions =
                        std::span<const Response::AbortedTransaction>(list);
                }
                Bytes& bytes = data.emplace_back();
                if (asked.fetch_offset > partition.end ||
                    asked.fetch_offset < answer.log_start_offset) {
                    answer.error_code = wire::ErrorCode::offset_out_of_range;
                } else {
                    for (const Stored& stored : partition.log) {
                        if (stored.base_offset + stored.count <= asked.fetch_offset) continue;
                        if (stored.base_offset >= end) break;
                        const auto size = static_cast<std::int32_t>(stored.batch.size());
                        const bool first = bytes.empty() && left == body->max_bytes;
                        if (!first && (size > left ||
                                       bytes.size() + stored.batch.size() >
                                           static_cast<std::size_t>(asked.partition_max_bytes)))
                            break;
                        left -= size;
                        bytes.insert(bytes.end(), stored.batch.begin(), stored.batch.end());
                    }
                }
                answer.records = ByteView(bytes);
                answers.back().push_back(answer);
            }
            topics.push_back({topic.topic, topic.topic_id, {}});
        }
        for (std::size_t i = 0; i < topics.size(); ++i)
            topics[i].partitions = std::span<const Response::PartitionData>(answers[i]);
        Response response;
        response.responses = std::span<const Response::FetchableTopicResponse>(topics);
        return answer(request.header, response, version);
    }

    Bytes list_offsets(const wire::Request& request) {
        using Response = wire::ListOffsetsResponse;
        const std::int16_t version = request.header.api_version;
        auto body = wire::decode<wire::ListOffsetsRequest>(request.body, version);
        std::vector<std::vector<Response::ListOffsetsPartitionResponse>> answers;
        std::vector<Response::ListOffsetsTopicResponse> topics;
        for (const auto& topic : body->topics) {
            answers.emplace_back();
            for (const auto& asked : topic.partitions) {
                Partition& partition = at(std::string(topic.name.view()), asked.partition_index);
                Response::ListOffsetsPartitionResponse found;
                found.partition_index = asked.partition_index;
                if (asked.timestamp == -1)
                    found.offset = partition.end;
                else if (asked.timestamp == -2)
                    found.offset = partition.log.empty() ? 0 : partition.log.front().base_offset;
                else
                    for (const Stored& stored : partition.log) {
                        auto batch = wire::BatchView::parse(stored.batch);
                        if (batch->header().max_timestamp < asked.timestamp) continue;
                        found.offset = stored.base_offset;
                        found.timestamp = batch->header().base_timestamp;
                        break;
                    }
                answers.back().push_back(found);
            }
            topics.push_back({topic.name, {}});
        }
        for (std::size_t i = 0; i < topics.size(); ++i)
            topics[i].partitions =
                std::span<const Response::ListOffsetsPartitionResponse>(answers[i]);
        Response response;
        response.topics = std::span<const Response::ListOffsetsTopicResponse>(topics);
        return answer(request.header, response, version);
    }
};

}  // namespace leat::testing
