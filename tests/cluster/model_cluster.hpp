// Several brokers before one store of logs: who leads what can change at any moment, brokers can be
// down, answers can be late news. Sans-IO, on tests/support's model broker.
#pragma once

#include <set>

#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "tests/support/model_broker.hpp"

namespace leat::testing {

class ModelCluster {
public:
    struct Leadership {
        std::int32_t node = 0;
        std::int32_t epoch = 0;
    };

    ModelCluster() {
        store.on_batch = [this](const std::string& topic,
                                std::int32_t partition) -> ModelBroker::Fault {
            if (leads(topic, partition) != asked_node_)
                return {wire::ErrorCode::not_leader_or_follower, false};
            return {};
        };
        store.epoch_of = [this](const std::string& topic, std::int32_t partition) {
            return epoch_of(topic, partition);
        };
    }

    ModelBroker store;
    std::set<std::int32_t> up;    ///< node ids
    std::set<std::int32_t> dead;  ///< of those: Metadata names them, and nobody answers there
    std::map<std::string, std::vector<Leadership>> topics;
    std::map<std::string, wire::Uuid> ids;
    std::map<std::int32_t, std::pair<std::string, std::int32_t>> addresses;
    std::map<std::int32_t, std::map<std::string, std::vector<Leadership>>>
        stale;  ///< what a slow broker believes
    std::int32_t controller = 0;
    bool auto_create = false;
    std::map<wire::ApiKey, int> asked;                         ///< requests by key
    std::vector<std::pair<std::int32_t, wire::ApiKey>> trace;  ///< who was asked what
    /// Requests of groups, answered instead of the store.
    std::function<std::optional<Bytes>(std::int32_t node, const wire::Request&)> on_group;
    /// Asked first, whatever the request is.
    std::function<std::optional<Bytes>(std::int32_t node, const wire::Request&)> on_any;
    milliseconds wait{0};  ///< the last answer is due after this: a long poll

    void add_broker(std::int32_t node) {
        up.insert(node);
        addresses[node] = {"broker" + std::to_string(node), 9092};
    }
    void add_topic(const std::string& name, std::vector<std::int32_t> leaders) {
        for (std::int32_t node : leaders) topics[name].push_back({node, 0});
        ids[name].bytes[0] = static_cast<std::uint8_t>(ids.size() + 1);
    }
    void move_leader(const std::string& name, std::int32_t partition, std::int32_t node) {
        Leadership& leadership = topics[name][static_cast<std::size_t>(partition)];
        leadership = {node, leadership.epoch + 1};
    }
    /// Its leader is lost with what only it had: another one leads what is left.
    void lose_records(const std::string& name, std::int32_t partition, std::int64_t from,
                      std::int32_t next_leader) {
        ModelBroker::Partition& log = store.at(name, partition);
        std::erase_if(log.log, [&](const auto& batch) { return batch.base_offset >= from; });
        log.end = from;
        log.producers.clear();
        move_leader(name, partition, next_leader);
    }
    std::int32_t node_at(const std::string& host, std::int32_t port) const {
        for (const auto& [node, address] : addresses)
            if (address == std::pair(host, port)) return node;
        return -1;
    }

    /// One request frame for `node`, without its length; the answer with its length, if there is
    /// one.
    std::optional<Bytes> handle(std::int32_t node, ByteView frame) {
        auto request = wire::decode_request(frame);
        if (!request) return std::nullopt;
        ++asked[request->header.api_key];
        trace.emplace_back(node, request->header.api_key);
        asked_node_ = node;
        wait = milliseconds{0};
        if (on_any)
            if (std::optional<Bytes> answer = on_any(node, *request)) return answer;
        switch (request->header.api_key) {
            case wire::ApiKey::metadata:
                return metadata(node, *request);
            case wire::ApiKey::fetch:
                return led_here(*request) ? store.handle(frame) : not_leader(*request);
            case wire::ApiKey::offset_for_leader_epoch:
                return ends_of_epochs(*request);
            case wire::ApiKey::create_topics:
                return create(*request);
            case wire::ApiKey::delete_topics:
                return remove(*request);
            case wire::ApiKey::describe_configs:
                return configs(*request);
            default:
                if (on_group && ((request->header.api_key >= wire::ApiKey::offset_commit &&
                                  request->header.api_key <= wire::ApiKey::list_groups) ||
                                 request->header.api_key == wire::ApiKey::consumer_group_heartbeat))
                    return on_group(node, *request);
                return store.handle(frame);
        }
    }

private:
    std::int32_t leads(const std::string& topic, std::int32_t partition) const {
        const auto found = topics.find(topic);
        if (found == topics.end() || static_cast<std::size_t>(partition) >= found->second.size())
            return -1;
        return found->second[static_cast<std::size_t>(partition)].node;
    }

    std::int32_t epoch_of(const std::string& topic, std::int32_t partition) const {
        const auto found = topics.find(topic);
        if (found == topics.end() || static_cast<std::size_t>(partition) >= found->second.size())
            return 0;
        return found->second[static_cast<std::size_t>(partition)].epoch;
    }

    wire::ErrorCode judge(const std::string& topic, std::int32_t partition,
                          std::int32_t epoch) const {
        if (leads(topic, partition) != asked_node_) return wire::ErrorCode::not_leader_or_follower;
        const std::int32_t mine = epoch_of(topic, partition);
        if (epoch < 0 || epoch == mine) return wire::ErrorCode::none;
        return epoch < mine ? wire::ErrorCode::fenced_leader_epoch
                            : wire::ErrorCode::unknown_leader_epoch;
    }

    Bytes ends_of_epochs(const wire::Request& request) {
        using Response = wire::OffsetForLeaderEpochResponse;
        const auto body = wire::decode<wire::OffsetForLeaderEpochRequest>(
            request.body, request.header.api_version);
        std::deque<std::vector<Response::EpochEndOffset>> partitions;
        std::vector<Response::OffsetForLeaderTopicResult> list;
        for (const auto& topic : body->topics) {
            const std::string name(topic.topic.view());
            auto& of_topic = partitions.emplace_back();
            for (const auto& asked_for : topic.partitions) {
                auto& end = of_topic.emplace_back();
                end.partition = asked_for.partition;
                end.error_code = judge(name, end.partition, asked_for.current_leader_epoch);
                if (end.error_code != wire::ErrorCode::none ||
                    asked_for.leader_epoch > epoch_of(name, end.partition))
                    continue;
                const ModelBroker::Partition& log = store.at(name, end.partition);
                end.leader_epoch = asked_for.leader_epoch;
                end.end_offset = log.end;
                for (const auto& batch : log.log)
                    if (batch.epoch > asked_for.leader_epoch) {
                        end.end_offset = batch.base_offset;
                        break;
                    }
            }
            list.push_back({topic.topic, of_topic});
        }
        Response response;
        response.topics = list;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    Bytes metadata(std::int32_t node, const wire::Request& request) {
        using Response = wire::MetadataResponse;
        const auto body =
            wire::decode<wire::MetadataRequest>(request.body, request.header.api_version);
        std::vector<Response::MetadataResponseBroker> brokers;
        for (std::int32_t id : up) {
            auto& broker = brokers.emplace_back();
            broker.node_id = id;
            broker.host = addresses[id].first;
            broker.port = addresses[id].second;
        }
        std::vector<std::string> names;
        if (body->topics.is_null())
            for (const auto& [name, leaders] : topics) names.push_back(name);
        std::vector<wire::Uuid> unknown;
        for (const auto& topic : body->topics) {
            if (!topic.name.is_null()) {
                names.emplace_back(topic.name.view());
                continue;
            }
            const auto known = std::find_if(ids.begin(), ids.end(), [&](const auto& entry) {
                return entry.second == topic.topic_id;
            });
            if (known == ids.end() || !topics.contains(known->first))
                unknown.push_back(topic.topic_id);
            else
                names.push_back(known->first);
        }
        std::deque<std::vector<Response::MetadataResponsePartition>> partitions;
        std::vector<Response::MetadataResponseTopic> list;
        const auto& view = stale.contains(node) ? stale[node] : topics;
        for (const std::string& name : names) {
            auto& topic = list.emplace_back();
            topic.name = name;
            if (!topics.contains(name) && auto_create && body->allow_auto_topic_creation)
                add_topic(name, {0});
            const auto known = view.find(name);
            if (known == view.end()) {
                topic.error_code = wire::ErrorCode::unknown_topic_or_partition;
                continue;
            }
            topic.topic_id = ids[name];
            auto& of_topic = partitions.emplace_back();
            for (std::size_t i = 0; i < known->second.size(); ++i) {
                auto& partition = of_topic.emplace_back();
                partition.partition_index = static_cast<std::int32_t>(i);
                partition.leader_id = known->second[i].node;
                partition.leader_epoch = known->second[i].epoch;
                if (partition.leader_id < 0)
                    partition.error_code = wire::ErrorCode::leader_not_available;
            }
            topic.partitions = of_topic;
        }
        for (const wire::Uuid& id : unknown) {
            auto& topic = list.emplace_back();
            topic.name = nullptr;
            topic.topic_id = id;
            topic.error_code = wire::ErrorCode::unknown_topic_id;
        }
        Response response;
        response.brokers = brokers;
        response.cluster_id = "model";
        response.controller_id = controller;
        response.topics = list;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    bool led_here(const wire::Request& request) {
        const auto body =
            wire::decode<wire::FetchRequest>(request.body, request.header.api_version);
        bool has_news = false, is_leader = true;
        for (const auto& topic : body->topics)
            for (const auto& partition : topic.partitions) {
                const std::string name(topic.topic.view());
                if (judge(name, partition.partition, partition.current_leader_epoch) !=
                    wire::ErrorCode::none)
                    is_leader = false;
                if (partition.fetch_offset != store.at(name, partition.partition).end)
                    has_news = true;
            }
        if (is_leader && !has_news) wait = milliseconds{body->max_wait_ms};
        return is_leader;
    }

    Bytes not_leader(const wire::Request& request) const {
        using Response = wire::FetchResponse;
        const auto body =
            wire::decode<wire::FetchRequest>(request.body, request.header.api_version);
        std::deque<std::vector<Response::PartitionData>> partitions;
        std::vector<Response::FetchableTopicResponse> list;
        for (const auto& topic : body->topics) {
            auto& of_topic = partitions.emplace_back();
            for (const auto& partition : topic.partitions) {
                auto& data = of_topic.emplace_back();
                data.partition_index = partition.partition;
                data.error_code = judge(std::string(topic.topic.view()), partition.partition,
                                        partition.current_leader_epoch);
                if (data.error_code == wire::ErrorCode::none)  // it waits for the others
                    data.error_code = wire::ErrorCode::not_leader_or_follower;
                data.high_watermark = -1;
                data.aborted_transactions = nullptr;
            }
            auto& answered = list.emplace_back();
            answered.topic = topic.topic;
            answered.partitions = of_topic;
        }
        Response response;
        response.responses = list;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    Bytes create(const wire::Request& request) {
        using Response = wire::CreateTopicsResponse;
        const auto body =
            wire::decode<wire::CreateTopicsRequest>(request.body, request.header.api_version);
        std::vector<Response::CreatableTopicResult> list;
        for (const auto& topic : body->topics) {
            auto& result = list.emplace_back();
            result.name = topic.name;
            result.error_message = nullptr;
            const std::string name(topic.name.view());
            if (asked_node_ != controller) {
                result.error_code = wire::ErrorCode::not_controller;
            } else if (topics.contains(name)) {
                result.error_code = wire::ErrorCode::topic_already_exists;
                result.error_message = "it is there";
            } else if (!body->validate_only) {
                add_topic(name, std::vector<std::int32_t>(
                                    static_cast<std::size_t>(std::max(topic.num_partitions, 1)),
                                    controller));
            }
        }
        Response response;
        response.topics = list;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    Bytes remove(const wire::Request& request) {
        using Response = wire::DeleteTopicsResponse;
        const auto body =
            wire::decode<wire::DeleteTopicsRequest>(request.body, request.header.api_version);
        std::vector<Response::DeletableTopicResult> list;
        const auto one = [&](const wire::StringView& name) {
            auto& result = list.emplace_back();
            result.name = name;
            if (topics.erase(std::string(name.view())) == 0)
                result.error_code = wire::ErrorCode::unknown_topic_or_partition;
        };
        for (const auto& topic : body->topics) one(topic.name);
        for (const auto& name : body->topic_names) one(name);
        Response response;
        response.responses = list;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    Bytes configs(const wire::Request& request) {
        using Response = wire::DescribeConfigsResponse;
        std::vector<Response::DescribeConfigsResourceResult> entries(1);
        entries[0].name = "retention.ms";
        entries[0].value = "1000";
        std::vector<Response::DescribeConfigsResult> results(1);
        results[0].resource_name = "answered by ";
        results[0].resource_type = 2;
        results[0].error_message = nullptr;
        results[0].configs = entries;
        Response response;
        response.results = results;
        return ModelBroker::answer(request.header, response, request.header.api_version);
    }

    std::int32_t asked_node_ = -1;
};

}  // namespace leat::testing
