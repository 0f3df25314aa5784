// Topics and what they are: requests to the controller or to any broker, one class each.
#include <algorithm>
#include <cstdlib>

#include "sdk/cluster/admin_operation.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/74_list_config_resources.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;

const std::string& name_of(const std::string& asked) { return asked; }
const std::string& name_of(const NewTopic& asked) { return asked.name; }

/// Of the topics that are asked for, `told` says what became of each; a server that leaves one out
/// has not said that it is done. What is settled stands and leaves `asked`: carried out once more,
/// it would tell that the topic is there already, or no more.
template <class Asked>
Verdict judge_topics(AdminAnswer& answer, std::vector<TopicOutcome>& told,
                     std::vector<Asked>& asked) {
    std::vector<Asked> again;
    answer.error = wire::ErrorCode::none;
    for (Asked& one : asked) {
        const auto is_it = [&](const TopicOutcome& told_of) {
            return told_of.name == name_of(one);
        };
        std::erase_if(answer.topics, is_it);  // of the try before
        const auto found = std::find_if(told.begin(), told.end(), is_it);
        TopicOutcome& outcome = answer.topics.emplace_back();
        if (found != told.end())
            outcome = *found;
        else
            outcome = {name_of(one), wire::ErrorCode::unknown_server_error,
                       "the server's answer does not speak of it", -1, -1};
        if (!is_worth_a_retry(outcome.error) &&
            outcome.error != wire::ErrorCode::throttling_quota_exceeded)
            continue;
        answer.error = outcome.error;
        again.push_back(std::move(one));
    }
    asked = std::move(again);
    return asked.empty() ? Verdict::done : Verdict::again;
}

struct Create final : Admin::Operation {
    std::vector<NewTopic> topics;
    Admin::Options options;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::CreateTopicsRequest;
        std::vector<std::vector<Request::CreatableTopicConfig>> configs(topics.size());
        std::vector<Request::CreatableTopic> list(topics.size());
        for (std::size_t i = 0; i < topics.size(); ++i) {
            for (const auto& [name, value] : topics[i].configs) {
                auto& config = configs[i].emplace_back();
                config.name = name;
                config.value = value;
            }
            list[i].name = topics[i].name;
            list[i].num_partitions = topics[i].partitions;
            list[i].replication_factor = topics[i].replication_factor;
            list[i].configs = configs[i];
        }
        Request request;
        request.topics = list;
        request.timeout_ms = static_cast<std::int32_t>((deadline - now).count());
        request.validate_only = options.validate_only;
        return send_one(*this, now, router, admin, {.kind = Target::Kind::controller}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::CreateTopicsResponse>(*this, event);
        if (!response) return Verdict::done;
        std::vector<TopicOutcome> told;
        for (const auto& topic : response->topics)
            told.push_back({owned(topic.name), topic.error_code, owned(topic.error_message),
                            topic.num_partitions, topic.replication_factor});
        return judge_topics(answer, told, topics);
    }
};

struct Delete final : Admin::Operation {
    std::vector<std::string> names;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::DeleteTopicsRequest;
        // Version 6 names topics in another field than 1 to 5: both are filled, the codec writes
        // one.
        std::vector<Request::DeleteTopicState> states(names.size());
        std::vector<wire::StringView> plain(names.begin(), names.end());
        for (std::size_t i = 0; i < names.size(); ++i) states[i].name = names[i];
        Request request;
        request.topics = states;
        request.topic_names = plain;
        request.timeout_ms = static_cast<std::int32_t>((deadline - now).count());
        return send_one(*this, now, router, admin, {.kind = Target::Kind::controller}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DeleteTopicsResponse>(*this, event);
        if (!response) return Verdict::done;
        std::vector<TopicOutcome> told;
        for (const auto& topic : response->responses)
            told.push_back(
                {owned(topic.name), topic.error_code, owned(topic.error_message), -1, -1});
        return judge_topics(answer, told, names);
    }
};

struct Describe final : Admin::Operation {
    std::optional<std::vector<std::string>> names;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::MetadataRequest;
        std::vector<Request::MetadataRequestTopic> list;
        Request request;
        request.allow_auto_topic_creation = false;
        request.topics = nullptr;
        if (names) {
            for (const std::string& name : *names) list.emplace_back().name = name;
            request.topics = list;
        }
        return send_one(*this, now, router, admin, {.kind = Target::Kind::any}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::MetadataResponse>(*this, event);
        if (!response) return Verdict::done;
        ClusterPicture& picture = answer.cluster = {};
        picture.cluster_id = owned(response->cluster_id);
        picture.controller = response->controller_id;
        for (const auto& broker : response->brokers)
            picture.brokers[broker.node_id] = {owned(broker.host),
                                               static_cast<std::uint16_t>(broker.port)};
        bool leaders_known = true;
        for (const auto& topic : response->topics) {
            TopicInfo& info = picture.topics[owned(topic.name)];
            info.id = topic.topic_id;
            info.error = topic.error_code;
            info.is_internal = topic.is_internal;
            if (info.error == wire::ErrorCode::leader_not_available) leaders_known = false;
            for (const auto& partition : topic.partitions) {
                const auto at = static_cast<std::size_t>(partition.partition_index);
                if (partition.partition_index < 0 || at > topic.partitions.size()) continue;
                if (info.partitions.size() <= at) info.partitions.resize(at + 1);
                PartitionInfo& to = info.partitions[at];
                to.error = partition.error_code;
                to.leader = partition.leader_id;
                to.leader_epoch = partition.leader_epoch;
                for (std::int32_t id : partition.replica_nodes) to.replicas.push_back(id);
                for (std::int32_t id : partition.isr_nodes) to.in_sync.push_back(id);
            }
        }
        return leaders_known ? Verdict::done : Verdict::again;
    }
};

struct DescribeConfigs final : Admin::Operation {
    ConfigResource kind = ConfigResource::topic;
    std::string name;

    Status send(Instant now, Router& router, Admin& admin) override {
        wire::DescribeConfigsRequest::DescribeConfigsResource resource;
        resource.resource_type = static_cast<std::int8_t>(kind);
        resource.resource_name = name;
        resource.configuration_keys = nullptr;
        wire::DescribeConfigsRequest request;
        request.resources = std::span(&resource, 1);
        Target target;
        if (kind == ConfigResource::broker) {
            // Only the broker itself knows its settings.
            target.kind = Target::Kind::broker;
            target.broker = static_cast<std::int32_t>(std::strtol(name.c_str(), nullptr, 10));
        }
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DescribeConfigsResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.configs.clear();
        if (response->results.empty()) {
            answer.error = wire::ErrorCode::unknown_server_error;
            answer.message = "the server's answer does not speak of it";
        }
        for (const auto& result : response->results) {
            answer.error = result.error_code;
            answer.message = owned(result.error_message);
            for (const auto& entry : result.configs) {
                ConfigEntry& to = answer.configs.emplace_back();
                to.name = owned(entry.name);
                if (!entry.value.is_null()) to.value = owned(entry.value);
                to.source = entry.config_source;
                to.read_only = entry.read_only;
                to.sensitive = entry.is_sensitive;
            }
        }
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

struct ListConfigResources final : Admin::Operation {
    std::vector<std::int8_t> kinds;

    Status send(Instant now, Router& router, Admin& admin) override {
        wire::ListConfigResourcesRequest request;
        request.resource_types = kinds;
        return send_one(*this, now, router, admin, {.kind = Target::Kind::any}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::ListConfigResourcesResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.error = response->error_code;
        answer.resources.clear();
        for (const auto& resource : response->config_resources)
            answer.resources.push_back({resource.resource_type, owned(resource.resource_name)});
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

}  // namespace

std::unique_ptr<Admin::Operation> make_create(std::vector<NewTopic> topics,
                                              const Admin::Options& options) {
    auto create = std::make_unique<Create>();
    create->topics = std::move(topics);
    create->options = options;
    return create;
}

std::unique_ptr<Admin::Operation> make_delete(std::vector<std::string> names,
                                              const Admin::Options&) {
    auto remove = std::make_unique<Delete>();
    remove->names = std::move(names);
    return remove;
}

std::unique_ptr<Admin::Operation> make_describe(std::optional<std::vector<std::string>> topics) {
    auto describe = std::make_unique<Describe>();
    describe->names = std::move(topics);
    return describe;
}

std::unique_ptr<Admin::Operation> make_describe_configs(ConfigResource kind, std::string name) {
    auto describe = std::make_unique<DescribeConfigs>();
    describe->kind = kind;
    describe->name = std::move(name);
    return describe;
}

std::unique_ptr<Admin::Operation> make_list_config_resources(std::vector<std::int8_t> kinds) {
    auto list = std::make_unique<ListConfigResources>();
    list->kinds = std::move(kinds);
    return list;
}

}  // namespace leat::cluster
