// A scripted upstream cluster: as much of Kafka as an uplink talks to, with the idempotent
// producer's rules (kafka-rules 4.3), and with faults on order.
#pragma once

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
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/22_init_producer_id.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/header.hpp"
#include "sdk/wire/record_batch.hpp"
#include "tests/uplink/upstream_partition.hpp"

namespace leat::uplink::test {

class UpstreamModel {
public:
    // What a test may set.
    std::map<std::string, std::vector<Partition>> topics;
    std::map<std::string, wire::Uuid> topic_ids;    ///< zero: as a cluster that knows none
    std::map<std::string, ErrorCode> topic_errors;  ///< answered by Metadata and CreateTopics
    std::int32_t broker_count = 1;                  ///< ids from 1, at host "upN" port 9000 + N
    std::function<ErrorCode(const std::string& topic, std::int32_t partition,
                            const wire::BatchHeader&)>
        refuse;
    /// The places of records that it does not take: INVALID_TIMESTAMP for the batch.
    std::function<std::vector<std::int32_t>(const Stored&)> bad_records;
    bool names_records = true;  ///< the bad ones, in the answer
    std::string cluster_id = "upstream-cluster";
    /// That broker is another cluster by itself, with topics of the same names.
    std::map<std::int32_t, std::string> cluster_at;
    ErrorCode producer_id_error = ErrorCode::none;
    std::size_t batch_bytes_max = SIZE_MAX;  ///< max.message.bytes, looked at before all else
    ErrorCode too_large = ErrorCode::message_too_large;
    bool speaks_garbage = false;
    bool wants_login = false;  ///< after ApiVersions it hangs up, as Kafka does without SASL
    std::size_t frame_bytes_max = SIZE_MAX;  ///< socket.request.max.bytes: it hangs up, too
    bool hangs_up = false;                   ///< ... for the rig to do
    std::int64_t next_producer_id = 7000;

    bool describes_producers = false;        ///< it has DescribeProducers
    ErrorCode describing = ErrorCode::none;  ///< what it answers to it
    bool describes_never = false;            ///< ... nothing

    bool shows_tail = false;                ///< it has ListOffsets and Fetch
    ErrorCode fetching = ErrorCode::none;   ///< what it answers to a Fetch
    std::optional<std::int64_t> says_offset;  ///< ... to ListOffsets, instead of the truth
    int hangs_up_on_fetch = 0;                ///< on every so manieth
    std::function<void(Bytes&)> tampers;      ///< with the records of a Fetch
    std::int64_t wall_ms = 0;               ///< its clock
    std::int64_t remembers_ms = INT64_MAX;  ///< producer.id.expiration.ms, looked at all the time

    // What it saw.
    int created = 0, metadata_requests = 0, produce_requests = 0, describe_requests = 0;
    int tail_requests = 0;
    bool auto_creation_asked = false;
    std::size_t frame_largest = 0;

    void make_topic(const std::string& name, std::int32_t partitions) {
        auto& topic = topics[name];
        for (std::int32_t i = static_cast<std::int32_t>(topic.size()); i < partitions; ++i)
            topic.emplace_back().leader = 1 + i % broker_count;
    }

    /// The answer to one frame (without its length).
    Bytes answer(std::int32_t broker, ByteView frame) {
        if (speaks_garbage) return Bytes(64, 'H');
        if (frame.size() > frame_bytes_max) {
            hangs_up = true;
            return {};
        }
        frame_largest = std::max(frame_largest, frame.size());
        const auto request = wire::decode_request(frame);
        if (!request) return {};
        if (wants_login && request->header.api_key != wire::ApiKey::api_versions) {
            hangs_up = true;
            return {};
        }
        forget_producers();
        switch (request->header.api_key) {
            case wire::ApiKey::list_offsets:
                return offsets(*request);
            case wire::ApiKey::fetch:
                return fetch(broker, *request);
            case wire::ApiKey::api_versions:
                return versions(*request);
            case wire::ApiKey::metadata:
                return metadata(broker, *request);
            case wire::ApiKey::init_producer_id:
                return producer_id(*request);
            case wire::ApiKey::produce:
                return produce(broker, *request);
            case wire::ApiKey::create_topics:
                return create(*request);
            case wire::ApiKey::describe_producers:
                return producers(*request);
            default:
                return {};
        }
    }

private:
    template <class M>
    Bytes encode(const wire::Request& request, const M& message) {
        const std::int16_t version = request.header.api_version;
        const std::size_t head = wire::response_header_size(M::api_key, version);
        const std::size_t size = wire::encoded_size(message, version);
        Bytes bytes(4 + head + size);
        store_big(bytes.data(), static_cast<std::int32_t>(head + size));
        (void)wire::encode_response_header(M::api_key, version, request.header.correlation_id,
                                           MutableBytes(bytes).subspan(4));
        (void)wire::encode(message, version, MutableBytes(bytes).subspan(4 + head));
        return bytes;
    }

    Bytes versions(const wire::Request& request) {
        std::vector<wire::ApiVersionsResponse::ApiVersion> keys = {
            {0, 0, 9}, {3, 0, 12}, {18, 0, 3}, {19, 2, 7}, {22, 0, 4}};
        if (describes_producers) keys.push_back({61, 0, 0});
        if (shows_tail) keys.insert(keys.end(), {{1, 4, 12}, {2, 1, 9}});
        wire::ApiVersionsResponse answer;
        answer.api_keys = keys;
        return encode(request, answer);
    }

    Bytes producers(const wire::Request& request) {
        const auto asked = wire::decode<wire::DescribeProducersRequest>(request.body, 0);
        ++describe_requests;
        if (!asked || describes_never) return {};
        using Answer = wire::DescribeProducersResponse;
        std::vector<Answer::TopicResponse::PartitionResponse::ProducerState> states;
        Answer::TopicResponse::PartitionResponse partition[1];
        Answer::TopicResponse topic[1];
        for (const auto& of : asked->topics)
            for (const std::int32_t index : of.partition_indexes) {
                topic[0].name = of.name;
                partition[0].partition_index = index;
                partition[0].error_code = describing;
                const auto& at = topics.at(std::string(of.name.view()));
                for (const auto& [id, entry] : at[static_cast<std::size_t>(index)].producers)
                    if (entry.epoch >= 0 && describing == ErrorCode::none)
                        states.push_back({.producer_id = id, .producer_epoch = entry.epoch});
            }
        partition[0].active_producers = states;
        topic[0].partitions = std::span(partition);
        Answer answer;
        answer.topics = std::span(topic);
        return encode(request, answer);
    }

    void forget_producers() {
        for (auto& [name, partitions] : topics)
            for (Partition& partition : partitions)
                partition.forget_producers(wall_ms - remembers_ms);
    }

    Bytes offsets(const wire::Request& request) {
        const auto asked =
            wire::decode<wire::ListOffsetsRequest>(request.body, request.header.api_version);
        ++tail_requests;
        if (!asked) return {};
        wire::ListOffsetsResponse::ListOffsetsPartitionResponse partition[1];
        wire::ListOffsetsResponse::ListOffsetsTopicResponse topic[1];
        for (const auto& of : asked->topics)
            for (const auto& one : of.partitions) {
                topic[0].name = of.name;
                partition[0].partition_index = one.partition_index;
                const Partition& at = topics.at(std::string(of.name.view()))
                                          .at(static_cast<std::size_t>(one.partition_index));
                const std::int64_t seen = std::min(at.log_end(), at.high_watermark);
                partition[0].offset = asked->replica_id == -2 ? at.log_end() : seen;
                if (one.timestamp == -2) partition[0].offset = at.log_start;
                if (says_offset) partition[0].offset = *says_offset;
            }
        topic[0].partitions = std::span(partition);
        wire::ListOffsetsResponse answer;
        answer.topics = std::span(topic);
        return encode(request, answer);
    }

    Bytes fetch(std::int32_t broker, const wire::Request& request) {
        const auto asked =
            wire::decode<wire::FetchRequest>(request.body, request.header.api_version);
        ++tail_requests;
        if (!asked) return {};
        hangs_up = hangs_up_on_fetch > 0 && tail_requests % hangs_up_on_fetch == 0;
        if (hangs_up) return {};
        wire::FetchResponse::PartitionData partition[1];
        wire::FetchResponse::FetchableTopicResponse topic[1];
        Bytes records;
        for (const auto& of : asked->topics)
            for (const auto& one : of.partitions) {
                topic[0].topic = of.topic;
                partition[0].partition_index = one.partition;
                const Partition& at = topics.at(std::string(of.topic.view()))
                                          .at(static_cast<std::size_t>(one.partition));
                partition[0].error_code = fetching;
                if (at.leader != broker)
                    partition[0].error_code = ErrorCode::not_leader_or_follower;
                else if (one.fetch_offset < at.log_start || one.fetch_offset > at.log_end())
                    partition[0].error_code = ErrorCode::offset_out_of_range;
                if (partition[0].error_code == ErrorCode::none)
                    records = at.batches_from(one.fetch_offset, one.partition_max_bytes);
                if (tampers) tampers(records);
            }
        partition[0].records = ByteView(records);
        topic[0].partitions = std::span(partition);
        wire::FetchResponse answer;
        answer.responses = std::span(topic);
        return encode(request, answer);
    }

    Bytes metadata(std::int32_t asked_of, const wire::Request& request) {
        ++metadata_requests;
        const bool is_another = cluster_at.contains(asked_of);
        const auto asked =
            wire::decode<wire::MetadataRequest>(request.body, request.header.api_version);
        if (!asked) return {};
        auto_creation_asked = auto_creation_asked || asked->allow_auto_topic_creation;
        using Answer = wire::MetadataResponse;
        std::vector<std::string> hosts;
        for (std::int32_t i = 1; i <= broker_count; ++i) hosts.push_back("up" + std::to_string(i));
        std::vector<Answer::MetadataResponseBroker> brokers;
        for (std::int32_t i = 1; i <= broker_count; ++i) {
            if (is_another ? i != asked_of : cluster_at.contains(i)) continue;
            auto& broker = brokers.emplace_back();
            broker.node_id = i;
            broker.host = hosts[static_cast<std::size_t>(i) - 1];
            broker.port = 9000 + i;
        }
        std::deque<std::string> names;
        std::deque<std::vector<Answer::MetadataResponsePartition>> partitions;
        std::vector<Answer::MetadataResponseTopic> answered;
        for (const auto& topic : asked->topics) {
            names.emplace_back(topic.name.view());
            auto& into = answered.emplace_back();
            into.name = names.back();
            const auto found = topics.find(names.back());
            if (const auto error = topic_errors.find(names.back()); error != topic_errors.end()) {
                into.error_code = error->second;
            } else if (found == topics.end()) {
                into.error_code = ErrorCode::unknown_topic_or_partition;
            } else {
                if (const auto id = topic_ids.find(names.back()); id != topic_ids.end())
                    into.topic_id = id->second;
                auto& list = partitions.emplace_back();
                for (std::size_t i = 0; i < found->second.size(); ++i) {
                    auto& partition = list.emplace_back();
                    partition.partition_index = static_cast<std::int32_t>(i);
                    partition.leader_id = is_another ? asked_of : found->second[i].leader;
                    if (partition.leader_id < 0)
                        partition.error_code = ErrorCode::leader_not_available;
                }
                into.partitions = list;
            }
        }
        Answer answer;
        answer.brokers = brokers;
        answer.controller_id = 1;
        answer.cluster_id = is_another ? cluster_at[asked_of] : cluster_id;
        answer.topics = answered;
        return encode(request, answer);
    }

    Bytes producer_id(const wire::Request& request) {
        wire::InitProducerIdResponse answer;
        answer.error_code = producer_id_error;
        if (producer_id_error == ErrorCode::none) answer.producer_id = next_producer_id++;
        return encode(request, answer);
    }

    Bytes create(const wire::Request& request) {
        const auto asked =
            wire::decode<wire::CreateTopicsRequest>(request.body, request.header.api_version);
        if (!asked) return {};
        std::deque<std::string> names;
        std::vector<wire::CreateTopicsResponse::CreatableTopicResult> results;
        for (const auto& topic : asked->topics) {
            names.emplace_back(topic.name.view());
            auto& result = results.emplace_back();
            result.name = names.back();
            if (const auto error = topic_errors.find(names.back()); error != topic_errors.end()) {
                result.error_code = error->second;
                result.error_message = "says the model";
            } else {
                ++created;
                make_topic(names.back(), topic.num_partitions);
            }
        }
        wire::CreateTopicsResponse answer;
        answer.topics = results;
        return encode(request, answer);
    }

    Bytes produce(std::int32_t broker, const wire::Request& request) {
        ++produce_requests;
        const auto asked =
            wire::decode<wire::ProduceRequest>(request.body, request.header.api_version);
        if (!asked) return {};
        using Answer = wire::ProduceResponse;
        std::deque<std::string> names;
        std::deque<std::vector<Answer::PartitionProduceResponse>> lists;
        std::deque<std::vector<Answer::BatchIndexAndErrorMessage>> named;
        std::vector<Answer::TopicProduceResponse> responses;
        for (const auto& topic : asked->topic_data) {
            names.emplace_back(topic.name.view());
            auto& list = lists.emplace_back();
            for (const auto& partition : topic.partition_data) {
                auto& result = list.emplace_back();
                result.index = partition.index;
                base_offset_ = -1;
                result.error_code =
                    append(broker, names.back(), partition.index, partition.records);
                result.base_offset = base_offset_;
                auto& bad = named.emplace_back();
                for (const std::int32_t place : std::exchange(bad_, {}))
                    bad.push_back({place, "says the model"});
                if (names_records) result.record_errors = bad;
            }
            auto& response = responses.emplace_back();
            response.name = names.back();
            response.partition_responses = list;
        }
        Answer answer;
        answer.responses = responses;
        return encode(request, answer);
    }

    ErrorCode append(std::int32_t broker, const std::string& topic, std::int32_t index,
                     ByteView records) {
        const auto found = topics.find(topic);
        if (found == topics.end() || static_cast<std::size_t>(index) >= found->second.size())
            return ErrorCode::unknown_topic_or_partition;
        Partition& partition = found->second[static_cast<std::size_t>(index)];
        if (partition.leader != broker) return ErrorCode::not_leader_or_follower;
        const auto batch = wire::BatchView::parse(records);
        if (!batch || batch->whole().size() != records.size() || !batch->crc_ok())
            return ErrorCode::corrupt_message;
        if (records.size() > batch_bytes_max) return too_large;
        const wire::BatchHeader& header = batch->header();
        if (header.last_offset_delta != header.record_count - 1 || header.is_log_append_time() ||
            header.is_control())
            return ErrorCode::invalid_record;
        if (header.producer_id < 0) return ErrorCode::invalid_record;  // the uplink is idempotent
        if (refuse)
            if (const ErrorCode error = refuse(topic, index, header); error != ErrorCode::none)
                return error;
        if (bad_records) {
            bad_ = bad_records({header, {batch->records().begin(), batch->records().end()}});
            if (!bad_.empty()) return ErrorCode::invalid_timestamp;
        }
        return partition.append({header, {batch->records().begin(), batch->records().end()}},
                                base_offset_);
    }

    std::vector<std::int32_t> bad_;  // of the last batch
    std::int64_t base_offset_ = -1;  // the same
};

}  // namespace leat::uplink::test
